// The logarithm of a product of many numbers. Instruction sets share it: there is no copy of it but where it is called.
#pragma once

namespace jensen {

#define JENSEN_IN_PLACE inline __attribute__((always_inline))

// Of roots of doubles and their reciprocals, which lie between 1e-162 and 1e162: before the product leaves the floats,
// its logarithm is taken.
class LogProduct {
  public:
    JENSEN_IN_PLACE LogProduct() : logs_(0.0), product_(1.0) {}

    JENSEN_IN_PLACE void times(double factor) {
        product_ *= factor;
        if (product_ < 1e-100 || product_ > 1e100) {
            logs_ += __builtin_log(product_);
            product_ = 1.0;
        }
    }

    JENSEN_IN_PLACE double log() const { return logs_ + __builtin_log(product_); }

  private:
    double logs_, product_;
};

#undef JENSEN_IN_PLACE

}  // namespace jensen
