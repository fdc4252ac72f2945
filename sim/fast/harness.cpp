// Plays a job against a verilated core at full speed and writes down everything the core did.
//
// The fast twin of sim/cocotb/bench.py: the same steps at the same pace on the same ports, and the same
// record, cycle for cycle; there cocotbext-axi is on the buses, here a few lines of C++ are. The job
// and the tables of the record are files of 64-bit integers in the machine's own byte order, the
// results one of bytes; sim/fast/harness.py writes the one and reads the others.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

using Word = std::int64_t;

// What a step of the job begins with; sim/fast/harness.py has the same numbers.
enum Step : Word {
    kFrames = 0,
    kCommand = 1,
    kWrite = 2,
    kRead = 3,
    kSettle = 4,
    kLoad = 5,
    kWriteAtOnce = 6,
    kWait = 7,
};

std::vector<Word> read_words(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error(path + " cannot be read");
    std::vector<Word> words(static_cast<std::size_t>(file.tellg()) / sizeof(Word));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(words.data()), words.size() * sizeof(Word));
    if (!file) throw std::runtime_error(path + " cannot be read");
    return words;
}

// Byte n of a port of any width: of what one integer holds...
template <class Port>
unsigned byte_of(Port port, std::size_t n) {
    return std::uint64_t{port} >> 8 * n & 0xff;
}

// ...and of what takes an array.
template <std::size_t N>
unsigned byte_of(const VlWide<N>& port, std::size_t n) {
    return port[n / 4] >> 8 * (n % 4) & 0xff;
}

// Whether byte n of a beat of results counts: not all cores have a tkeep, then all bytes do.
template <class Core>
auto kept(const Core& core, std::size_t n, int) -> decltype(core.m_axis_tkeep, true) {
    return byte_of(core.m_axis_tkeep, n / 8) >> n % 8 & 1;
}

template <class Core>
bool kept(const Core&, std::size_t, long) {
    return true;
}

// A file of rows of integers, or of bytes.
class Table {
public:
    explicit Table(const std::string& path) : path_(path), file_(path, std::ios::binary) {}

    template <class... Ports>
    void row(const Ports&... ports) {
        (put(ports), ...);
    }

    // A port of any width as words of 32 bits, lowest first.
    template <class Port>
    void put_wide(const Port& port) {
        for (std::size_t n = 0; n < sizeof(Port); n += 4) {
            Word word = 0;
            for (std::size_t k = 0; k < 4 && n + k < sizeof(Port); ++k)
                word |= Word{byte_of(port, n + k)} << 8 * k;
            put(word);
        }
    }

    void put_byte(unsigned byte) { file_.put(static_cast<char>(byte)); }

    // Throws where the rows could not all be written, which a destructor would keep to itself.
    void close() {
        file_.close();
        if (!file_) throw std::runtime_error(path_ + " cannot be written");
    }

private:
    void put(Word value) { file_.write(reinterpret_cast<const char*>(&value), sizeof value); }

    std::string path_;
    std::ofstream file_;
};

// Says in a fraction of cycles, in 2^-32, that a bus stands still.
class Pauses {
public:
    Pauses(Word fraction, Word seed) : fraction_(fraction), random_(seed) {}
    bool operator()() { return fraction_ != 0 && Word(random_()) < fraction_; }

private:
    Word fraction_;
    std::mt19937 random_;
};

// Each bus has an `edge`, called at every rising edge with what was there before it: it sees which
// handshakes took place and drives the ports for the next cycle. Whatever a step asks for between
// two edges is driven from the later one on. Ports that only count when another one says so keep
// their random values until then.

template <class Data>
struct Stream {
    CData &valid, &ready;
    Data& data;
    CData &last, &id;
};

// Not all cores have several streams, and a tid.
template <class Core>
auto input_id(Core& core, int) -> decltype((core.s_axis_tid)) {
    return core.s_axis_tid;
}

template <class Core>
CData& input_id(Core&, long) {
    static CData id;
    return id;
}

template <class Core>
auto output_id(const Core& core, int) -> decltype(Word{core.m_axis_tid}) {
    return core.m_axis_tid;
}

template <class Core>
Word output_id(const Core&, long) {
    return 0;
}

template <class Core>
auto input_of(Core& core) {
    using Data = std::remove_reference_t<decltype(core.s_axis_tdata)>;
    return Stream<Data>{core.s_axis_tvalid, core.s_axis_tready, core.s_axis_tdata,
                        core.s_axis_tlast, input_id(core, 0)};
}

// Not all cores have weights to load: the stream of one that has none takes nothing.
template <class Core, class = decltype(std::declval<Core>().s_weights_tdata)>
Stream<CData> weights_of(Core& core, int) {
    static CData id;
    return {core.s_weights_tvalid, core.s_weights_tready, core.s_weights_tdata,
            core.s_weights_tlast, id};
}

template <class Core>
Stream<CData> weights_of(Core&, long) {
    static CData valid, ready = 0, data, last, id;
    return {valid, ready, data, last, id};
}

template <class Data>
class Source {
public:
    // Frames are of so many streams in turn.
    Source(Stream<Data> stream, Pauses gaps, Word streams = 1)
        : stream_(stream), gaps_(gaps), streams_(streams) {
        stream_.valid = 0;
    }

    void send(const Word* beats, Word frames, Word length) {
        if (frames * length) waiting_.push_back({beats, beats + frames * length, length});
    }

    bool idle() const { return waiting_.empty() && !stream_.valid; }

    // Before the edge, since the core may not be ready any more behind it.
    void take() { taken_ = stream_.ready; }

    void edge() {
        if (stream_.valid && !taken_) return;
        stream_.valid = !waiting_.empty() && !gaps_();
        if (!stream_.valid) return;
        Frames& frames = waiting_.front();
        stream_.data = *frames.next++;
        stream_.last = (frames.end - frames.next) % frames.length == 0;
        stream_.id = CData(sent_ % streams_);
        sent_ += stream_.last;
        if (frames.next == frames.end) waiting_.pop_front();
    }

private:
    struct Frames {
        const Word *next, *end;
        Word length;
    };

    Stream<Data> stream_;
    Pauses gaps_;
    Word streams_, sent_ = 0;
    bool taken_ = false;
    std::deque<Frames> waiting_;
};

class Sink {
public:
    Sink(Vtop& core, Pauses pauses, Word streams, const std::string& folder)
        : core_(core), pauses_(pauses), streams_(streams), outputs_(folder + "/outputs"),
          lengths_(folder + "/output_lengths") {
        core_.m_axis_tready = 0;
    }

    Word frames() const { return frames_; }
    bool in_frame() const { return in_frame_; }

    // Before the edge, since the beat may be gone behind it.
    void take() {
        if (!core_.m_axis_tvalid || !core_.m_axis_tready) return;
        in_frame_ = !core_.m_axis_tlast;
        const Word whose = output_id(core_, 0);
        if (whose != frames_ % streams_)
            throw std::runtime_error("results of stream " + std::to_string(whose));
        for (std::size_t n = 0; n < sizeof core_.m_axis_tdata; ++n) {
            if (!kept(core_, n, 0)) continue;
            outputs_.put_byte(byte_of(core_.m_axis_tdata, n));
            ++length_;
        }
        if (in_frame_) return;
        lengths_.row(length_);
        length_ = 0;
        ++frames_;
    }

    void edge() { core_.m_axis_tready = !pauses_(); }

    void close() {
        outputs_.close();
        lengths_.close();
    }

private:
    Vtop& core_;
    Pauses pauses_;
    Word streams_;
    Table outputs_, lengths_;
    Word frames_ = 0, length_ = 0;
    bool in_frame_ = false;
};

// One register access at a time.
class Registers {
public:
    Registers(Vtop& core, Pauses gaps, Pauses pauses)
        : core_(core), gaps_(gaps), pauses_(pauses) {
        core_.s_axil_awvalid = core_.s_axil_wvalid = core_.s_axil_arvalid = 0;
        core_.s_axil_bready = core_.s_axil_rready = 0;
    }

    void write(Word address, Word data, Word strobe) {
        access_ = {address, data, strobe};
        address_waits_ = data_waits_ = true;
        answered_ = false;
    }

    void read(Word address) {
        access_ = {address, 0, 0};
        asks_ = true;
        answered_ = false;
    }

    bool answered() const { return answered_; }
    Word response() const { return response_; }
    Word data() const { return data_; }

    // Before the edge.
    void take() {
        address_taken_ = core_.s_axil_awvalid && core_.s_axil_awready;
        data_taken_ = core_.s_axil_wvalid && core_.s_axil_wready;
        asked_taken_ = core_.s_axil_arvalid && core_.s_axil_arready;
        if (core_.s_axil_bvalid && core_.s_axil_bready) answer(core_.s_axil_bresp, 0);
        if (core_.s_axil_rvalid && core_.s_axil_rready)
            answer(core_.s_axil_rresp, core_.s_axil_rdata);
    }

    void edge() {
        core_.s_axil_bready = !pauses_();
        core_.s_axil_rready = !pauses_();
        if (address_taken_) core_.s_axil_awvalid = 0;
        if (data_taken_) core_.s_axil_wvalid = 0;
        if (asked_taken_) core_.s_axil_arvalid = 0;
        if (address_waits_ && !gaps_()) {
            address_waits_ = false;
            core_.s_axil_awaddr = access_.address;
            core_.s_axil_awvalid = 1;
        }
        if (data_waits_ && !gaps_()) {
            data_waits_ = false;
            core_.s_axil_wdata = access_.data;
            core_.s_axil_wstrb = access_.strobe;
            core_.s_axil_wvalid = 1;
        }
        if (asks_ && !gaps_()) {
            asks_ = false;
            core_.s_axil_araddr = access_.address;
            core_.s_axil_arvalid = 1;
        }
    }

private:
    struct Access {
        Word address, data, strobe;
    };

    void answer(Word response, Word data) {
        response_ = response;
        data_ = data;
        answered_ = true;
    }

    Vtop& core_;
    Pauses gaps_, pauses_;
    Access access_{};
    bool address_waits_ = false, data_waits_ = false, asks_ = false;  // for their turn
    bool answered_ = false;
    bool address_taken_ = false, data_taken_ = false, asked_taken_ = false;
    Word response_ = 0, data_ = 0;
};

// A port, and what it was.
template <class Data>
class Kept {
public:
    Kept(const char* name, const Data& port) : name_(name), port_(&port), was_(port) {}

    const Data& now() const { return *port_; }
    void keep() { was_ = *port_; }
    bool changed() const { return std::memcmp(&was_, port_, sizeof was_) != 0; }

    std::string story() const {
        return std::string(name_) + " was " + hex(was_) + ", is " + hex(*port_);
    }

private:
    static std::string hex(const Data& value) {
        std::string text;
        for (std::size_t n = sizeof value; n--;)
            for (unsigned shift : {4, 0}) text += "0123456789abcdef"[byte_of(value, n) >> shift & 15];
        return "0x" + text;
    }

    const char* name_;
    const Data* port_;
    Data was_;
};

// A stream, of which nothing may change between a valid that waits and the ready it waits for. That
// holds for those that the core drives and for those that this program does.
template <class... Payload>
class Channel {
public:
    Channel(const char* name, Kept<CData> valid, const CData& ready, Kept<Payload>... payload)
        : name_(name), valid_(valid), ready_(&ready), payload_(payload...) {}

    // Before the edge; whether a valid is there that was not before.
    bool watch(Word cycle) {
        if (waits_) {
            const auto changed = [](const auto&... kept) { return (kept.changed() | ...); };
            if (valid_.changed() || std::apply(changed, payload_)) fail(cycle);
            waits_ = !*ready_;
            return false;
        }
        if (!valid_.now()) return false;
        if (!*ready_) {
            waits_ = true;
            valid_.keep();
            std::apply([](auto&... kept) { (kept.keep(), ...); }, payload_);
        }
        return true;
    }

private:
    [[noreturn]] void fail(Word cycle) const {
        std::string story;
        const auto tell = [&](const auto& kept) {
            if (story.empty() && kept.changed()) story = kept.story();
        };
        tell(valid_);
        std::apply([&](const auto&... kept) { (tell(kept), ...); }, payload_);
        throw std::runtime_error(std::string(name_) + " changed while it waited for ready: cycle " +
                                 std::to_string(cycle) + ": " + story);
    }

    const char* name_;
    Kept<CData> valid_;
    const CData* ready_;
    std::tuple<Kept<Payload>...> payload_;
    bool waits_ = false;
};

// Not all cores have a tkeep, a tid, or weights to load: a tuple of the port, or of nothing.
#define OPTIONAL(port)                                                            \
    template <class Core>                                                         \
    auto kept_##port(const Core& core, int) -> decltype(std::tuple(Kept("", core.port))) { \
        return {Kept(#port, core.port)};                                          \
    }                                                                             \
    template <class Core>                                                         \
    std::tuple<> kept_##port(const Core&, long) {                                 \
        return {};                                                                \
    }
OPTIONAL(s_axis_tid)
OPTIONAL(m_axis_tid)
OPTIONAL(m_axis_tkeep)
#undef OPTIONAL

template <class Core, class = decltype(std::declval<Core>().s_weights_tdata)>
auto loads_of(const Core& core, int) {
    return std::tuple(Channel("s_weights", Kept("s_weights_tvalid", core.s_weights_tvalid),
                              core.s_weights_tready, Kept("s_weights_tdata", core.s_weights_tdata),
                              Kept("s_weights_tlast", core.s_weights_tlast)));
}

template <class Core>
std::tuple<> loads_of(const Core&, long) {
    return {};
}

// All streams but s_axil b.
auto channels_of(const Vtop& core) {
    const auto frames = [&](auto... id) {
        return Channel("s_axis", Kept("s_axis_tvalid", core.s_axis_tvalid), core.s_axis_tready,
                       Kept("s_axis_tdata", core.s_axis_tdata),
                       Kept("s_axis_tlast", core.s_axis_tlast), id...);
    };
    const auto results = [&](auto... more) {
        return Channel("m_axis", Kept("m_axis_tvalid", core.m_axis_tvalid), core.m_axis_tready,
                       Kept("m_axis_tdata", core.m_axis_tdata),
                       Kept("m_axis_tlast", core.m_axis_tlast), more...);
    };
    return std::tuple_cat(
        loads_of(core, 0),
        std::tuple(
            std::apply(frames, kept_s_axis_tid(core, 0)),
            std::apply(results,
                       std::tuple_cat(kept_m_axis_tkeep(core, 0), kept_m_axis_tid(core, 0))),
            Channel("s_axil aw", Kept("s_axil_awvalid", core.s_axil_awvalid), core.s_axil_awready,
                    Kept("s_axil_awaddr", core.s_axil_awaddr),
                    Kept("s_axil_awprot", core.s_axil_awprot)),
            Channel("s_axil w", Kept("s_axil_wvalid", core.s_axil_wvalid), core.s_axil_wready,
                    Kept("s_axil_wdata", core.s_axil_wdata),
                    Kept("s_axil_wstrb", core.s_axil_wstrb)),
            Channel("s_axil ar", Kept("s_axil_arvalid", core.s_axil_arvalid), core.s_axil_arready,
                    Kept("s_axil_araddr", core.s_axil_araddr),
                    Kept("s_axil_arprot", core.s_axil_arprot)),
            Channel("s_axil r", Kept("s_axil_rvalid", core.s_axil_rvalid), core.s_axil_rready,
                    Kept("s_axil_rdata", core.s_axil_rdata),
                    Kept("s_axil_rresp", core.s_axil_rresp))));
}

// Writes down the core's monitor ports, cycle by cycle, watches all streams, and sees when the core
// stands still.
class Monitor {
public:
    Monitor(Vtop& core, Word max_idle, Word max_cycles, const std::string& folder)
        : core_(core), max_idle_(max_idle), max_cycles_(max_cycles), events_(folder + "/events"),
          states_(folder + "/states"), skips_(folder + "/skips"),
          finishes_(folder + "/finishes"), first_beats_(folder + "/first_beats"),
          state_cycles_(folder + "/state_cycles"), writes_(folder + "/writes"),
          channels_(channels_of(core)),
          answers_("s_axil b", Kept("s_axil_bvalid", core.s_axil_bvalid), core.s_axil_bready,
                   Kept("s_axil_bresp", core.s_axil_bresp)) {}

    // Before the edge.
    void watch() {
        ++cycle_;
        std::apply([this](auto&... channels) { (channels.watch(cycle_), ...); }, channels_);
        if (answers_.watch(cycle_)) writes_.row(cycle_);
        if (core_.monitor_event_valid)
            events_.row(frame_, core_.monitor_event_layer, core_.monitor_event_h,
                        core_.monitor_event_column, core_.monitor_event_delta);
        if (core_.monitor_state_valid) {
            states_.row(core_.monitor_state_layer, core_.monitor_state_unit);
            states_.put_wide(core_.monitor_state_value);
            state_cycles_.row(cycle_);
        }
        if (core_.monitor_skip_valid) skips_.row(frame_, core_.monitor_skip_layer);
        if (core_.monitor_finish) {
            finishes_.row(cycle_);
            ++frame_;
            last_sign_of_life_ = cycle_;
        }
        if (core_.s_axis_tvalid && core_.s_axis_tready) {
            if (!in_frame_) first_beats_.row(cycle_);
            in_frame_ = !core_.s_axis_tlast;
            last_sign_of_life_ = cycle_;
        }
        if (cycle_ - last_sign_of_life_ > max_idle_)
            throw std::runtime_error("the core stands still: cycle " + std::to_string(cycle_));
        if (cycle_ > max_cycles_)
            throw std::runtime_error("the job is not over: cycle " + std::to_string(cycle_));
    }

    void close() {
        for (Table* table : {&events_, &states_, &skips_, &finishes_, &first_beats_,
                             &state_cycles_, &writes_})
            table->close();
    }

private:
    Vtop& core_;
    Word max_idle_, max_cycles_, cycle_ = 0, last_sign_of_life_ = 0, frame_ = 0;
    bool in_frame_ = false;
    Table events_, states_, skips_, finishes_, first_beats_, state_cycles_, writes_;
    decltype(channels_of(std::declval<Vtop>())) channels_;
    Channel<CData> answers_;
};

// A netlist with mutations in it has an input that says which of them it has.
template <class Core>
auto mutate(Core& core, Word number, int) -> decltype(core.mutation, void()) {
    core.mutation = number;
}

template <class Core>
void mutate(Core&, Word, long) {}

// The waveforms of a model that was built to write some; else nothing.
class Waves {
public:
#if VM_TRACE
    Waves(Vtop& core, const std::string& path) {
        core.trace(&file_, 99);
        file_.open(path.c_str());
        if (!file_.isOpen()) throw std::runtime_error(path + " cannot be written");
    }

    // Half a clock cycle later, at 100 MHz.
    void dump() { file_.dump(time_ += 5); }
    void close() { file_.close(); }

private:
    VerilatedVcdC file_;
    std::uint64_t time_ = 0;
#else
    Waves(Vtop&, const std::string&) {}
    void dump() {}
    void close() {}
#endif
};

class Player {
public:
    Player(Vtop& core, const std::vector<Word>& job, Word max_cycles, const std::string& folder)
        : core_(core), next_(job.data()), end_(job.data() + job.size()),
          monitor_(core, argument(), max_cycles, folder), streams_(argument()),
          source_(input_of(core), pauses(), streams_), sink_(core, pauses(), streams_, folder),
          weights_(weights_of(core, 0), pauses()),
          registers_{core, pauses(), pauses()},
          replies_(folder + "/replies"),
          waves_(core, folder + "/waves.vcd") {}

    void play() {
        core_.rst = 1;
        for (int n = 0; n < 4; ++n) {
            low();
            high();
        }
        core_.rst = 0;
        while (next_ != end_) step();
        receive();
        cycles(64);  // results that nobody asked for would show
        if (sink_.frames() > sent_) throw std::runtime_error("more frames came out than went in");
        if (sink_.in_frame()) throw std::runtime_error("results came out after the last frame");
        monitor_.close();
        sink_.close();
        replies_.close();
        waves_.close();
    }

private:
    Word argument() {
        if (next_ == end_) throw std::runtime_error("the job ends in mid-step");
        return *next_++;
    }

    Pauses pauses() {
        const Word fraction = argument(), seed = argument();
        return {fraction, seed};
    }

    void step() {
        switch (const Word step = argument()) {
            case kFrames: {
                const Word frames = argument(), length = argument();
                if (end_ - next_ < frames * length)
                    throw std::runtime_error("the job ends in mid-frame");
                source_.send(next_, frames, length);
                next_ += frames * length;
                sent_ += frames;
                return;
            }
            case kCommand:
                sent_all();
                return write();
            case kWrite:
                sent_all();
                [[fallthrough]];
            case kWriteAtOnce:
                write();
                replies_.row(registers_.response(), Word(0));
                return;
            case kWait:
                return cycles(argument());
            case kRead:
                registers_.read(argument());
                while (!registers_.answered()) cycle();
                replies_.row(registers_.response(), registers_.data());
                return;
            case kSettle:
                receive();
                return cycles(32);  // the last frame's states may come after its results
            case kLoad: {
                const Word length = argument();
                if (end_ - next_ < length) throw std::runtime_error("the job ends in mid-load");
                sent_all();
                weights_.send(next_, 1, length);
                next_ += length;
                while (!weights_.idle()) cycle();
                return;
            }
            default:
                throw std::runtime_error("unknown step " + std::to_string(step));
        }
    }

    void write() {
        const Word address = argument(), data = argument(), strobe = argument();
        registers_.write(address, data, strobe);
        while (!registers_.answered()) cycle();
    }

    void sent_all() {
        while (!source_.idle()) cycle();
    }

    void receive() {
        while (sink_.frames() < sent_) cycle();
    }

    void cycles(Word count) {
        while (count--) cycle();
    }

    void low() {
        core_.clk = 0;
        core_.eval();
        waves_.dump();
    }

    void high() {
        core_.clk = 1;
        core_.eval();
        waves_.dump();
    }

    void cycle() {
        low();
        monitor_.watch();
        sink_.take();
        registers_.take();
        source_.take();
        weights_.take();
        high();
        source_.edge();
        weights_.edge();
        sink_.edge();
        registers_.edge();
    }

    Vtop& core_;
    const Word *next_, *end_;
    Monitor monitor_;
    Word streams_;
    Source<std::remove_reference_t<decltype(Vtop::s_axis_tdata)>> source_;
    Sink sink_;
    Source<CData> weights_;
    Registers registers_;
    Table replies_;
    Waves waves_;
    Word sent_ = 0;
};

// What there may be beside the folder of the job, in this order. A broken core may show signs of
// life for ever, so a job may have an end. A reset may come at any time, so one may cut a job off.
struct Options {
    Options(int count, char** arguments) {
        Word* values[] = {&mutation, &max_cycles, &reset_after};
        for (int n = 2; n < count && n < 5; ++n) *values[n - 2] = std::stoll(arguments[n]);
    }

    Word mutation = 0, max_cycles = std::numeric_limits<Word>::max(), reset_after = 0;
};

// Plays so much of a job that it is cut off, whatever the core does.
void cut_off(Vtop& core, const std::vector<Word>& job, Word cycles, const std::string& folder) {
    try {
        Player(core, job, cycles, folder).play();
    } catch (const std::exception&) {
    }
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const std::string folder = arguments[1];
        const Options options(count, arguments);
        const auto context = std::make_unique<VerilatedContext>();
        context->randReset(2);  // what has no value at power-up gets a random one,
        context->randSeed(1);   // the same in every run
        context->traceEverOn(VM_TRACE);
        const auto core = std::make_unique<Vtop>(context.get());
        const std::vector<Word> job = read_words(folder + "/job");
        mutate(*core, options.mutation, 0);
        if (options.reset_after) cut_off(*core, job, options.reset_after, folder);
        Player(*core, job, options.max_cycles, folder).play();
        core->final();
#if VM_COVERAGE
        context->coveragep()->write((folder + "/coverage.dat").c_str());
#endif
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
