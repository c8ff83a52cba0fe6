// Work on threads of its own, which needs nothing of Python: a thread that had to wait for it would wait as long as
// much of the work takes.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace jensen {

// Takes pieces of work in the order in which they come. One thread adds them, and asks for them.
class Flight {
  public:
    // With so many threads at most, besides the one that asks.
    explicit Flight(int helpers) : helpers_(helpers) {}
    // Waits for what is under way; what nobody has begun is left.
    ~Flight();
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    // What it works on must last as long as this. `multiplications` says how much it is, about.
    void add(std::function<void()> work, double multiplications);
    size_t size() const { return pieces_.size(); }
    // Returns once a piece, by its number from 0, is done. Until then this takes pieces that nobody has begun.
    void wait_for(size_t number);

  private:
    enum class State { waiting, flying, landed };
    struct Piece {
        std::function<void()> work;
        State state = State::waiting;
        std::exception_ptr error;
    };

    // Takes the next piece; the lock is held before and after.
    void fly(std::unique_lock<std::mutex>& lock);
    void help();

    int helpers_;
    double multiplications_ = 0.0;
    // What is in a deque stays where it is while more is added.
    std::deque<Piece> pieces_;
    size_t next_ = 0;
    bool over_ = false;
    std::mutex mutex_;
    std::condition_variable added_, landed_;
    std::vector<std::thread> threads_;
};

}  // namespace jensen
