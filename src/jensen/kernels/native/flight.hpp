// Bursts on threads of their own, which need nothing of Python: a thread that had to wait for it would wait as long as
// many bursts take.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "burst.hpp"

namespace jensen {

// A burst as `burst` takes it, and where it ended.
struct Flown {
    const Kernels* kernels = nullptr;
    MStep step;
    std::variant<Task<double>, Task<float>> task;
    Journey journey;
    double *records = nullptr, *trace = nullptr;
    Arrival found;
};

// Takes bursts in the order in which they come. One thread adds them, and asks for them.
class Flight {
  public:
    // With so many threads at most, besides the one that asks.
    explicit Flight(int helpers) : helpers_(helpers) {}
    // Waits for what is under way; what nobody has begun is left.
    ~Flight();
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    // The arrays must last as long as this.
    void add(const Flown& burst);
    size_t size() const { return bursts_.size(); }
    // A burst, by its number from 0, once it has ended. Until then this takes bursts that nobody has begun.
    const Arrival& take(size_t number);

  private:
    enum class State { waiting, flying, landed };
    struct Entry {
        Flown burst;
        State state = State::waiting;
        std::exception_ptr error;
    };

    // Takes the next burst; the lock is held before and after.
    void fly(std::unique_lock<std::mutex>& lock);
    void help();

    int helpers_;
    double work_ = 0.0;
    // What is in a deque stays where it is while more is added.
    std::deque<Entry> bursts_;
    size_t next_ = 0;
    bool over_ = false;
    std::mutex mutex_;
    std::condition_variable added_, landed_;
    std::vector<std::thread> threads_;
};

}  // namespace jensen
