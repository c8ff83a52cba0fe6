// The Python module: checks nothing but types and contiguity, and runs without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "burst.hpp"
#include "dense.hpp"
#include "descent.hpp"
#include "dispatch.hpp"
#include "flight.hpp"
#include "hierarchy.hpp"
#include "scratch.hpp"
#include "starts.hpp"

namespace nb = nanobind;
using jensen::Kernels;
using jensen::Passes;
using jensen::Rows;
using jensen::Scratch;
using jensen::Shape;
using jensen::Task;

namespace {

template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Input = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<double, nb::c_contig, nb::device::cpu>;
using Records = nb::ndarray<double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Labels = nb::ndarray<int64_t, nb::c_contig, nb::device::cpu>;
using Memory = nb::ndarray<int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const Kernels& kernels_named(const std::string& name) {
    const Kernels* found = jensen::find_kernels(name.c_str());
    if (!found) throw std::invalid_argument("this machine does not run the instruction set '" + name + "'");
    return *found;
}

template <class T>
Task<T> make_task(const Matrix<T>& x, int shape, const Input& centres, const Input& whitening, const Input& offsets) {
    if (centres.ndim() != 2 || centres.shape(0) == 0 || x.shape(1) == 0) {
        throw std::invalid_argument("a pass needs centres (K, d) and rows (n, d)");
    }
    Task<T> task;
    task.n = static_cast<int64_t>(x.shape(0));
    task.d = static_cast<int>(x.shape(1));
    task.K = static_cast<int>(centres.shape(0));
    task.shape = static_cast<Shape>(shape);
    task.x = x.data();
    task.centres = centres.data();
    task.whitening = whitening.data();
    task.offsets = offsets.data();
    const size_t k = task.K, d = task.d;
    const size_t sizes[] = {k * d * d, d * d, k * d, k};
    if (shape < 0 || shape > 3 || centres.size() != k * d || whitening.size() != sizes[shape] || offsets.size() != k) {
        throw std::invalid_argument("arrays of the pass do not fit one another");
    }
    return task;
}

template <class T>
double moments(const std::string& isa, const Matrix<T>& x, const std::optional<Input>& weight, int shape,
               const Input& centres, const Input& whitening, const Input& offsets, const Output& counts,
               const Output& first, const Output& scatter, const std::optional<Memory>& last) {
    const Kernels& kernels = kernels_named(isa);
    Task<T> task = make_task<T>(x, shape, centres, whitening, offsets);
    if ((weight && weight->size() != x.shape(0)) || counts.size() != offsets.size() ||
        first.size() != centres.size() || scatter.size() != whitening.size()) {
        throw std::invalid_argument("arrays of the pass do not fit one another");
    }
    task.weight = weight ? weight->data() : nullptr;
    task.counts = counts.data();
    task.first = first.data();
    task.scatter = scatter.data();
    std::vector<int32_t> order, starts;
    if (last) {
        if (last->size() != x.shape(0)) throw std::invalid_argument("arrays of the pass do not fit one another");
        for (size_t i = 0; i < last->size(); ++i) {
            const int32_t component = last->data()[i], lowest = last->data()[0] >= 0 ? 0 : -2;
            if (component < lowest || component >= task.K) throw std::invalid_argument("no such component");
        }
        order.resize(x.shape(0));
        starts.resize(task.K + 1);
        task.last = last->data();
        task.order = order.data();
        task.starts = starts.data();
    }
    nb::gil_scoped_release release;
    Scratch scratch((kernels.*Passes<T>::scratch)(task.d, task.K, task.shape));
    (kernels.*Passes<T>::moments)(task, scratch.get());
    return task.loglik;
}

template <class T>
void rows(const std::string& isa, const Matrix<T>& x, int shape, const Input& centres, const Input& whitening,
          const Input& offsets, const std::optional<Output>& density, const std::optional<Output>& responsibilities,
          const std::optional<Labels>& labels) {
    const Kernels& kernels = kernels_named(isa);
    const Task<T> task = make_task<T>(x, shape, centres, whitening, offsets);
    const size_t n = x.shape(0);
    if ((density && density->size() != 2 * n) || (responsibilities && responsibilities->size() != n * offsets.size()) ||
        (labels && labels->size() != n)) {
        throw std::invalid_argument("arrays of the pass do not fit one another");
    }
    Rows out;
    out.loglik = density ? density->data() : nullptr;
    out.peak = density ? density->data() + n : nullptr;
    out.responsibilities = responsibilities ? responsibilities->data() : nullptr;
    out.labels = labels ? labels->data() : nullptr;
    nb::gil_scoped_release release;
    Scratch scratch((kernels.*Passes<T>::scratch)(task.d, task.K, task.shape));
    (kernels.*Passes<T>::rows)(task, out, scratch.get());
}

// Check that an array holds at least `size` numbers.
template <class Array>
auto* data_of(const Array& array, size_t size) {
    if (array.size() < size) throw std::invalid_argument("arrays of the pass do not fit one another");
    return array.data();
}

// The M-step as Python hands it over: kernels/mstep.py.
jensen::MStep make_step(int shape, int rule, const Input& ridge, double count, const std::optional<Input>& scatter,
                        double strength, const std::optional<Input>& centre, double ratio, bool equal_weights) {
    const size_t d = ridge.size(), blocks[] = {d * d, d * d, d, 1};
    if (rule < 0 || rule >= jensen::kRules || d == 0 ||
        static_cast<int>(jensen::layout_of(static_cast<jensen::Rule>(rule))) != shape || (strength > 0.0 && !centre)) {
        throw std::invalid_argument("the M-step is none that the kernel knows");
    }
    jensen::MStep step;
    step.rule = static_cast<jensen::Rule>(rule);
    step.ridge = ridge.data();
    step.count = count;
    step.scatter = scatter ? data_of(*scatter, blocks[shape]) : nullptr;
    step.strength = strength;
    step.centre = centre ? data_of(*centre, d) : nullptr;
    step.ratio = ratio;
    step.equal_weights = equal_weights;
    return step;
}

// What became of a burst: points, what ended it, leaps tried and accepted.
using Ended = std::tuple<int, int, int, int>;

// Multiplications of a pass, about.
template <class T>
double work_of(const Task<T>& task) {
    return static_cast<double>(task.n) * task.K * (task.d + 1) * (task.d + 2);
}

// Bursts and descents under way. Python hands them over in tuples, which begin with the M-step and the number of
// components. Arrays live as long as the flight does.
class Flight {
  public:
    explicit Flight(int helpers) : flight_(new jensen::Flight(helpers)) {}
    ~Flight() {
        nb::gil_scoped_release release;
        flight_.reset();
    }

    // Behind that come the journey, and room for the records of one burst or several, and for their objectives.
    template <class T>
    void add_bursts(const std::string& isa, const Matrix<T>& x, const std::optional<Input>& weight,
                    const nb::tuple& given) {
        const Begun<T> begun(isa, x, weight, given, 16);
        jensen::Journey journey{nb::cast<int>(given[10]), nb::cast<bool>(given[11]), nb::cast<double>(given[12]),
                                nb::cast<int>(given[13])};
        // Room for some points of each burst, and perhaps for all their objectives.
        const Records records = nb::cast<Records>(given[14], false);
        const size_t starts = records.shape(0), steps = journey.steps, points = records.shape(1);
        double* const trace =
            given[15].is_none() ? nullptr : data_of(nb::cast<Output>(given[15], false), starts * (steps + 1));
        const Task<T>& task = begun.task;
        if (journey.steps < 0 || records.shape(2) != jensen::record_size(task.shape, task.K, task.d) ||
            points < (trace ? 2 : steps + 1) || (trace && journey.plain_first >= 0)) {
            throw std::invalid_argument("arrays of the pass do not fit one another");
        }
        journey.points = static_cast<int>(points);
        kept_.emplace_back(x, weight, given);
        for (size_t i = 0; i < starts; ++i) {
            double* const own = records.data() + i * points * records.shape(2);
            double* const objectives = trace ? trace + i * (steps + 1) : nullptr;
            // What is in a deque stays where it is.
            jensen::Arrival& found = found_.emplace_back();
            const auto work = [=, &found] {
                found = jensen::burst(*begun.kernels, begun.task, begun.step, journey, own, objectives);
            };
            flight_->add(work, journey.steps * work_of(task));
        }
    }

    // Behind that comes the way down, and room for the components and for the passes.
    template <class T>
    void add_descent(const std::string& isa, const Matrix<T>& x, const std::optional<Input>& weight,
                     const nb::tuple& given) {
        const Begun<T> begun(isa, x, weight, given, 17);
        const jensen::Way way{nb::cast<int>(given[10]), nb::cast<double>(given[11]), nb::cast<double>(given[12]),
                              nb::cast<int>(given[13]), nb::cast<int>(given[14])};
        const Task<T>& task = begun.task;
        const size_t k = task.K, d = task.d;
        const size_t numbers = k + k * d + jensen::covariance_size(task.shape, task.K, task.d);
        double* const params = data_of(nb::cast<Output>(given[15], false), numbers);
        double* const passes = data_of(nb::cast<Output>(given[16], false), 1);
        if (way.wanted < 1 || way.wanted > task.K || way.among_many < 0 || way.steps < 0) {
            throw std::invalid_argument("a descent ends with some of its components, after some steps");
        }
        kept_.emplace_back(x, weight, given);
        found_.emplace_back();
        const auto work = [=] { *passes = jensen::descend(*begun.kernels, begun.task, begun.step, way, params); };
        flight_->add(work, (way.among_many + way.steps) * (k - way.wanted + 1) * work_of(task));
    }

    size_t size() const { return flight_->size(); }

    // What became of so many, from this number on.
    std::vector<Ended> take(size_t first, size_t count) {
        if (first + count > size()) throw nb::index_error("there is nothing of this number");
        nb::gil_scoped_release release;
        std::vector<Ended> told;
        for (size_t i = first; i < first + count; ++i) {
            flight_->wait_for(i);
            const jensen::Arrival& found = found_[i];
            told.emplace_back(found.done, found.failed, found.tried, found.accepted);
        }
        return told;
    }

  private:
    // What all of them begin with.
    template <class T>
    struct Begun {
        Begun(const std::string& isa, const Matrix<T>& x, const std::optional<Input>& weight, const nb::tuple& given,
              size_t parts)
            : kernels(&kernels_named(isa)) {
            const auto input = [&](size_t i) { return nb::cast<Input>(given[i], false); };
            const auto perhaps = [&](size_t i) { return given[i].is_none() ? std::optional<Input>() : input(i); };
            if (given.size() != parts) throw std::invalid_argument("parts are missing");
            const int shape = nb::cast<int>(given[0]);
            const Input ridge = input(2);
            step = make_step(shape, nb::cast<int>(given[1]), ridge, nb::cast<double>(given[3]), perhaps(4),
                             nb::cast<double>(given[5]), perhaps(6), nb::cast<double>(given[7]),
                             nb::cast<bool>(given[8]));
            task.n = static_cast<int64_t>(x.shape(0));
            task.d = static_cast<int>(x.shape(1));
            task.K = nb::cast<int>(given[9]);
            task.shape = static_cast<Shape>(shape);
            task.x = x.data();
            task.weight = weight ? data_of(*weight, x.shape(0)) : nullptr;
            if (task.K < 1 || x.shape(1) != ridge.size()) {
                throw std::invalid_argument("arrays of the pass do not fit one another");
            }
        }

        const Kernels* kernels;
        Task<T> task;
        jensen::MStep step;
    };

    std::vector<std::tuple<std::variant<Matrix<double>, Matrix<float>>, std::optional<Input>, nb::tuple>> kept_;
    std::deque<jensen::Arrival> found_;
    std::unique_ptr<jensen::Flight> flight_;  // ends first, since it works on the others
};

// Losses (K (K - 1) / 2,) of merging pairs on paper; whether the covariances are positive definite.
bool merge_losses(int shape, double weight, const Input& weights, const Input& means, const Input& covariances,
                  const Output& losses) {
    if (shape < 0 || shape > 3 || means.ndim() != 2 || means.shape(1) == 0) {
        throw std::invalid_argument("arrays of the pass do not fit one another");
    }
    const int k = static_cast<int>(means.shape(0)), d = static_cast<int>(means.shape(1));
    const Shape layout = static_cast<Shape>(shape);
    const double* const shares = data_of(weights, k);
    const double* const spreads = data_of(covariances, jensen::covariance_size(layout, k, d));
    double* const out = data_of(losses, static_cast<size_t>(k) * (k - 1) / 2);
    nb::gil_scoped_release release;
    return jensen::merge_losses(layout, k, d, weight, shares, means.data(), spreads, out);
}

int maximize(int shape, int rule, const Input& ridge, double count, const std::optional<Input>& scatter,
             double strength, const std::optional<Input>& centre, double ratio, bool equal_weights,
             const Input& old_means, const Input& old_covariances, const Input& counts, const Input& first,
             const Input& second, const Output& weights, const Output& means, const Output& covariances) {
    const jensen::MStep step =
        make_step(shape, rule, ridge, count, scatter, strength, centre, ratio, equal_weights);
    const size_t k = counts.size(), d = ridge.size();
    if (k == 0) throw std::invalid_argument("arrays of the pass do not fit one another");
    const size_t size = jensen::covariance_size(static_cast<Shape>(shape), static_cast<int>(k), static_cast<int>(d));
    jensen::Maximizer maximizer(step, static_cast<int>(k), static_cast<int>(d));
    // The old parameters are read and left alone.
    const jensen::Mixture old{nullptr, const_cast<double*>(data_of(old_means, k * d)),
                              const_cast<double*>(data_of(old_covariances, size)), nullptr, nullptr, nullptr};
    const jensen::Mixture out{data_of(weights, k), data_of(means, k * d), data_of(covariances, size),
                              nullptr, nullptr, nullptr};
    if (!maximizer.begins_at(old.covariances)) return jensen::kNoStart;
    return maximizer.maximize({counts.data(), data_of(first, k * d), data_of(second, size)}, old, out);
}

int factors(const std::string& isa, int shape, const Input& covariances, const Input& ridge, const Output& whitening,
            const Output& constants, const Output& penalty) {
    const size_t k = constants.size(), d = ridge.size();
    if (shape < 0 || shape > 3) throw std::invalid_argument("arrays of the pass do not fit one another");
    const size_t size = jensen::covariance_size(static_cast<Shape>(shape), static_cast<int>(k), static_cast<int>(d));
    if (covariances.size() != size) throw std::invalid_argument("arrays of the pass do not fit one another");
    std::vector<double> scratch(d * d);
    // `factors` reads the covariances and leaves them alone.
    const jensen::Mixture mixture{nullptr, nullptr, const_cast<double*>(covariances.data()),
                                  data_of(whitening, size), constants.data(), data_of(penalty, k)};
    return jensen::factors(kernels_named(isa), static_cast<Shape>(shape), static_cast<int>(k), static_cast<int>(d),
                           ridge.data(), mixture, scratch.data());
}

bool smallest_ratios(const Input& matrices, const Input& unit, const Output& out) {
    const size_t k = out.size(), d = unit.ndim() == 2 ? unit.shape(0) : 0;
    if (k == 0 || d == 0 || unit.size() != d * d || matrices.size() != k * d * d) {
        throw std::invalid_argument("matrices do not fit one another");
    }
    std::vector<double> scratch(3 * d * d + 2 * d);
    return jensen::smallest_ratios(static_cast<int>(k), static_cast<int>(d), matrices.data(), unit.data(),
                                   scratch.data(), out.data());
}

void seed_rows(const std::string& isa, const Matrix<double>& z, const Input& weight, int candidates,
               const Input& uniforms, const Labels& seeds) {
    const Kernels& kernels = kernels_named(isa);
    const size_t n = z.shape(0), times = seeds.ndim() == 2 ? seeds.shape(0) : 0, K = times ? seeds.shape(1) : 0;
    if (n == 0 || K == 0 || candidates < 1) throw std::invalid_argument("seeds need rows, centres and candidates");
    const double* w = data_of(weight, n);
    const double* u = data_of(uniforms, times * (1 + (K - 1) * candidates));
    nb::gil_scoped_release release;
    jensen::seed_rows(kernels, z.data(), w, static_cast<int64_t>(n), static_cast<int>(z.shape(1)), static_cast<int>(K),
                      candidates, u, static_cast<int64_t>(times), seeds.data());
}

void lloyd(const std::string& isa, const Matrix<double>& z, const Input& weight, int max_iter, double rest,
           const Output& centres, const Labels& labels) {
    const Kernels& kernels = kernels_named(isa);
    const size_t n = z.shape(0), d = z.shape(1);
    if (n == 0 || d == 0 || centres.size() == 0 || centres.size() % d != 0) {
        throw std::invalid_argument("arrays of the pass do not fit one another");
    }
    const double* w = data_of(weight, n);
    int64_t* out = data_of(labels, n);
    nb::gil_scoped_release release;
    jensen::lloyd(kernels, z.data(), w, static_cast<int64_t>(n), static_cast<int>(d),
                  static_cast<int>(centres.size() / d), max_iter, rest, centres.data(), out);
}

void labelled_moments(const Matrix<double>& x, const std::optional<Input>& weight,
                      const nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>& labels, int shape,
                      const Output& counts, const Output& means, const Output& scatter) {
    const size_t n = x.shape(0), d = x.shape(1), K = counts.size();
    const size_t sizes[] = {K * d * d, d * d, K * d, K};
    if (shape < 0 || shape > 3) throw std::invalid_argument("arrays of the pass do not fit one another");
    const double* w = weight ? data_of(*weight, n) : nullptr;
    const int64_t* l = data_of(labels, n);
    double *c = counts.data(), *m = data_of(means, K * d), *s = data_of(scatter, sizes[shape]);
    for (size_t i = 0; i < n; ++i) {
        if (l[i] >= static_cast<int64_t>(K)) throw std::invalid_argument("a label is too large");
    }
    nb::gil_scoped_release release;
    jensen::labelled_moments(x.data(), w, l, static_cast<int64_t>(n), static_cast<int>(d), static_cast<int>(K),
                             static_cast<Shape>(shape), c, m, s);
}

template <class T>
using Numbers = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The vector exp by itself, for its tests.
template <class T>
void exp_nonpositive(const std::string& isa, const Numbers<const T>& x, const Numbers<T>& out) {
    const Kernels& kernels = kernels_named(isa);
    const size_t n = x.size();
    T* to = data_of(out, n);
    (kernels.*Passes<T>::exp)(x.data(), to, static_cast<int64_t>(n));
}

double column_moments(const Matrix<double>& x, const std::optional<Input>& weight, const Output& mean,
                      const Output& squares, const Output& low, const Output& high) {
    const size_t n = x.shape(0), d = x.shape(1);
    const double* w = weight ? data_of(*weight, n) : nullptr;
    double *m = data_of(mean, d), *s = data_of(squares, d), *l = data_of(low, d), *h = data_of(high, d);
    nb::gil_scoped_release release;
    return jensen::column_moments(x.data(), w, static_cast<int64_t>(n), static_cast<int>(d), m, s, l, h);
}

void row_keys(const Matrix<double>& x, uint64_t seed,
              const nb::ndarray<const uint64_t, nb::c_contig, nb::device::cpu>& multipliers,
              const nb::ndarray<uint64_t, nb::c_contig, nb::device::cpu>& keys) {
    const size_t n = x.shape(0), d = x.shape(1);
    const uint64_t* m = data_of(multipliers, d);
    uint64_t* k = data_of(keys, n);
    nb::gil_scoped_release release;
    jensen::row_keys(x.data(), static_cast<int64_t>(n), static_cast<int>(d), seed, m, k);
}

void hierarchy(const Matrix<double>& z, const Input& weight, int criterion, double floor, double share,
               const Labels& merges, const Output& costs) {
    const size_t n = z.shape(0), d = z.shape(1);
    if (n == 0 || d == 0 || criterion < 0 || criterion > 2) throw std::invalid_argument("a hierarchy needs rows");
    const double* w = data_of(weight, n);
    int64_t* pairs = data_of(merges, 2 * (n - 1));
    double* added = data_of(costs, n - 1);
    nb::gil_scoped_release release;
    jensen::hierarchy(z.data(), w, static_cast<int64_t>(n), static_cast<int>(d),
                      static_cast<jensen::Merging>(criterion), floor, share, pairs, added);
}

std::vector<std::string> available() {
    std::vector<std::string> names;
    for (const char* const* name = jensen::compiled_names(); *name; ++name) {
        if (jensen::find_kernels(*name)) names.emplace_back(*name);
    }
    return names;
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Fused passes of Gaussian mixtures over blocks of rows.";
    m.def("available", &available, "Instruction sets that were compiled in and that this machine runs, widest first.");
    m.def("moments", &moments<double>, nb::arg("isa"), nb::arg("x").noconvert(), nb::arg("weight").none(),
          nb::arg("shape"), nb::arg("centres"), nb::arg("whitening"), nb::arg("offsets"), nb::arg("counts").noconvert(),
          nb::arg("first").noconvert(), nb::arg("scatter").noconvert(), nb::arg("last").none().noconvert());
    m.def("moments", &moments<float>, nb::arg("isa"), nb::arg("x").noconvert(), nb::arg("weight").none(),
          nb::arg("shape"), nb::arg("centres"), nb::arg("whitening"), nb::arg("offsets"), nb::arg("counts").noconvert(),
          nb::arg("first").noconvert(), nb::arg("scatter").noconvert(), nb::arg("last").none().noconvert());
    nb::class_<Flight>(m, "Flight", "Bursts and descents under way.")
        .def(nb::init<int>(), nb::arg("helpers"))
        .def("add_bursts", &Flight::add_bursts<double>, nb::arg("isa"), nb::arg("x").noconvert(),
             nb::arg("weight").none(), nb::arg("given"))
        .def("add_bursts", &Flight::add_bursts<float>, nb::arg("isa"), nb::arg("x").noconvert(),
             nb::arg("weight").none(), nb::arg("given"))
        .def("add_descent", &Flight::add_descent<double>, nb::arg("isa"), nb::arg("x").noconvert(),
             nb::arg("weight").none(), nb::arg("given"))
        .def("add_descent", &Flight::add_descent<float>, nb::arg("isa"), nb::arg("x").noconvert(),
             nb::arg("weight").none(), nb::arg("given"))
        .def("take", &Flight::take, nb::arg("first"), nb::arg("count"))
        .def("__len__", &Flight::size);
    m.def("merge_losses", &merge_losses, nb::arg("shape"), nb::arg("weight"), nb::arg("weights"), nb::arg("means"),
          nb::arg("covariances"), nb::arg("losses").noconvert());
    m.def("maximize", &maximize, nb::arg("shape"), nb::arg("rule"), nb::arg("ridge"), nb::arg("count"),
          nb::arg("scatter").none(), nb::arg("strength"), nb::arg("centre").none(), nb::arg("ratio"),
          nb::arg("equal_weights"), nb::arg("old_means"), nb::arg("old_covariances"), nb::arg("counts"),
          nb::arg("first"), nb::arg("second"), nb::arg("weights").noconvert(), nb::arg("means").noconvert(),
          nb::arg("covariances").noconvert());
    m.def("factors", &factors, nb::arg("isa"), nb::arg("shape"), nb::arg("covariances"), nb::arg("ridge"),
          nb::arg("whitening").noconvert(), nb::arg("constants").noconvert(), nb::arg("penalty").noconvert());
    m.def("smallest_ratios", &smallest_ratios, nb::arg("matrices"), nb::arg("unit"), nb::arg("out").noconvert());
    m.def("seed_rows", &seed_rows, nb::arg("isa"), nb::arg("z").noconvert(), nb::arg("weight"), nb::arg("candidates"),
          nb::arg("uniforms"), nb::arg("seeds").noconvert());
    m.def("hierarchy", &hierarchy, nb::arg("z").noconvert(), nb::arg("weight"), nb::arg("criterion"), nb::arg("floor"),
          nb::arg("share"), nb::arg("merges").noconvert(), nb::arg("costs").noconvert());
    m.def("lloyd", &lloyd, nb::arg("isa"), nb::arg("z").noconvert(), nb::arg("weight"), nb::arg("max_iter"),
          nb::arg("rest"), nb::arg("centres").noconvert(), nb::arg("labels").noconvert());
    m.def("column_moments", &column_moments, nb::arg("x").noconvert(), nb::arg("weight").none(),
          nb::arg("mean").noconvert(), nb::arg("squares").noconvert(), nb::arg("low").noconvert(),
          nb::arg("high").noconvert());
    m.def("row_keys", &row_keys, nb::arg("x").noconvert(), nb::arg("seed"), nb::arg("multipliers"),
          nb::arg("keys").noconvert());
    m.def("labelled_moments", &labelled_moments, nb::arg("x").noconvert(), nb::arg("weight").none(),
          nb::arg("labels"), nb::arg("shape"), nb::arg("counts").noconvert(), nb::arg("means").noconvert(),
          nb::arg("scatter").noconvert());
    m.def("exp_nonpositive", &exp_nonpositive<double>, nb::arg("isa"), nb::arg("x").noconvert(),
          nb::arg("out").noconvert());
    m.def("exp_nonpositive", &exp_nonpositive<float>, nb::arg("isa"), nb::arg("x").noconvert(),
          nb::arg("out").noconvert());
    m.def("rows", &rows<double>, nb::arg("isa"), nb::arg("x").noconvert(), nb::arg("shape"), nb::arg("centres"),
          nb::arg("whitening"), nb::arg("offsets"), nb::arg("density").none().noconvert(),
          nb::arg("responsibilities").none().noconvert(), nb::arg("labels").none().noconvert());
    m.def("rows", &rows<float>, nb::arg("isa"), nb::arg("x").noconvert(), nb::arg("shape"), nb::arg("centres"),
          nb::arg("whitening"), nb::arg("offsets"), nb::arg("density").none().noconvert(),
          nb::arg("responsibilities").none().noconvert(), nb::arg("labels").none().noconvert());
}
