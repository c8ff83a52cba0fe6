#include "flight.hpp"

namespace jensen {

namespace {

// Multiplications at most, about, that are waiting before a thread is worth its beginning.
constexpr double kWorthAThread = 1 << 22;

double work_of(const Flown& burst) {
    const auto work = [&](const auto& task) {
        return static_cast<double>(burst.journey.steps) * task.n * task.K * (task.d + 1) * (task.d + 2);
    };
    return std::visit(work, burst.task);
}

}  // namespace

Flight::~Flight() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
    }
    added_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Flight::add(const Flown& burst) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        bursts_.push_back({burst, State::waiting, nullptr});
        work_ += work_of(burst);
    }
    added_.notify_one();
    if (work_ > kWorthAThread * (threads_.size() + 1) && static_cast<int>(threads_.size()) < helpers_) {
        threads_.emplace_back(&Flight::help, this);
    }
}

const Arrival& Flight::take(size_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    Entry& entry = bursts_.at(number);
    // While another thread has it, there may be more to do.
    while (entry.state != State::landed && next_ < bursts_.size()) fly(lock);
    landed_.wait(lock, [&] { return entry.state == State::landed; });
    if (entry.error) std::rethrow_exception(entry.error);
    return entry.burst.found;
}

void Flight::fly(std::unique_lock<std::mutex>& lock) {
    Entry& entry = bursts_[next_++];
    entry.state = State::flying;
    lock.unlock();
    std::exception_ptr error;
    try {
        Flown& one = entry.burst;
        const auto take = [&](const auto& task) {
            return burst(*one.kernels, task, one.step, one.journey, one.records, one.trace);
        };
        one.found = std::visit(take, one.task);
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    entry.error = error;
    entry.state = State::landed;
    landed_.notify_all();
}

void Flight::help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        added_.wait(lock, [&] { return over_ || next_ < bursts_.size(); });
        if (over_) return;
        fly(lock);
    }
}

}  // namespace jensen
