// Many iterations of EM on one small block in a row, plain or with extrapolations between them.
#pragma once

#include "expect.hpp"

namespace jensen {

constexpr int kNoDensity = -1, kNoStart = -2;

// How far a burst goes.
struct Journey {
    int steps = 0;            // M-steps and accepted leaps, at most
    bool from_start = false;  // whether to take the E-step at the start, whose moments are not known
    // Nats: steps end where what is still to gain, by Aitken's extrapolation, was below it twice running, so that
    // nobody will ask for more. 0 takes them all.
    double enough = 0.0;
    int plain_first = -1;     // plain steps before the first leap; none leap where it is negative
    int points = 0;           // records there is room for, two at least: all, or without leaps the last ones in turn
};

// Where it ended.
struct Arrival {
    // Points after the start; kNoDensity if not even the E-step there could be, kNoStart if no M-step may begin at its
    // covariances.
    int done = 0;
    int failed = -1;  // what ended it, as from `Maximizer`
    int tried = 0, accepted = 0;  // leaps
};

// EM from the record in front of `records`; that of point t is number t modulo the points there is room for. Its
// parameters are read, and its moments too, unless the E-step there is asked for first. `task` brings the data, and
// `trace`, unless it is null, takes the objectives of all points. No point is lower than the one before, or else it is
// the last; in single precision, but for rounding.
template <class T>
Arrival burst(const Kernels& kernels, Task<T> task, const MStep& step, const Journey& journey, double* records,
              double* trace);

}  // namespace jensen
