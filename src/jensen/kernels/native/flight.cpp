#include "flight.hpp"

#include <utility>

namespace jensen {

namespace {

// Multiplications at most, about, that are waiting before a thread is worth its beginning.
constexpr double kWorthAThread = 1 << 22;

}  // namespace

Flight::~Flight() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
    }
    added_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Flight::add(std::function<void()> work, double multiplications) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        pieces_.push_back({std::move(work), State::waiting, nullptr});
        multiplications_ += multiplications;
    }
    added_.notify_one();
    if (multiplications_ > kWorthAThread * (threads_.size() + 1) && static_cast<int>(threads_.size()) < helpers_) {
        threads_.emplace_back(&Flight::help, this);
    }
}

void Flight::wait_for(size_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    Piece& piece = pieces_.at(number);
    // While another thread has it, there may be more to do.
    while (piece.state != State::landed && next_ < pieces_.size()) fly(lock);
    landed_.wait(lock, [&] { return piece.state == State::landed; });
    if (piece.error) std::rethrow_exception(piece.error);
}

void Flight::fly(std::unique_lock<std::mutex>& lock) {
    Piece& piece = pieces_[next_++];
    piece.state = State::flying;
    lock.unlock();
    std::exception_ptr error;
    try {
        piece.work();
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    piece.error = error;
    piece.state = State::landed;
    landed_.notify_all();
}

void Flight::help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        added_.wait(lock, [&] { return over_ || next_ < pieces_.size(); });
        if (over_) return;
        fly(lock);
    }
}

}  // namespace jensen
