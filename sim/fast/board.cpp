// A board at the other end of a pseudo-terminal: a verilated board top, a UART and an SPI flash.
//
// Arguments: cycles a bit of the UART; cycles without a sign of life after which the clock may stop;
// then, for a board that boots from a flash, a file with what is in it and the address where that
// begins. Says the terminal's name in its first line, and ends when its standard input does.

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr int kBurst = 250;     // cycles between looks at the terminal

// The host's half of the UART: what it sends, a cycle at a time, and what it hears.
class Uart {
public:
    explicit Uart(int divisor) : divisor_(divisor) {}

    bool line() {
        if (phase_ == 0) {
            if (to_board.empty()) return true;
            bits_ = (to_board.front() << 1) | 0x200;
            to_board.pop_front();
            phase_ = 10 * divisor_;
        }
        const int bit = 10 - (phase_ + divisor_ - 1) / divisor_;
        --phase_;
        return bits_ >> bit & 1;
    }

    void hear(bool line) {
        if (timer_ == 0) {
            if (!line) timer_ = 10 * divisor_ - divisor_ / 2;
            return;
        }
        const int gone = 10 * divisor_ - divisor_ / 2 - --timer_;
        if (gone % divisor_ != 0) return;
        heard_ = heard_ >> 1 | line << 8;  // eight bits, then the stop bit
        if (gone != 9 * divisor_) return;
        from_board.push_back(heard_ & 0xff);
        timer_ = 0;
    }

    bool busy() const { return phase_ != 0 || timer_ != 0 || !to_board.empty(); }

    std::deque<std::uint8_t> to_board, from_board;

private:
    const int divisor_;
    int phase_ = 0, timer_ = 0, bits_ = 0, heard_ = 0;
};

// A flash that reads (03), and hears nothing else until it has been woken (AB).
class Flash {
public:
    Flash(std::vector<std::uint8_t> content, std::uint32_t address)
        : content_(std::move(content)), begin_(address) {}

    bool line(bool cs_n, bool sck, bool copi) {
        if (cs_n) {
            count_ = 0;
        } else if (sck && !before_) {
            shift_ = shift_ << 1 | copi;
            if (++count_ == 8 && (shift_ & 0xff) == 0xab) awake_ = true;
            reading_ = count_ > 32 ? reading_ : awake_ && count_ == 32 && shift_ >> 24 == 0x03;
            if (count_ == 32) address_ = shift_ & 0xffffff;
        } else if (!sck && before_ && count_ >= 32 && reading_) {
            const std::uint32_t bit = count_ - 32;
            const std::uint32_t place = address_ + bit / 8 - begin_;
            const std::uint8_t byte = place < content_.size() ? content_[place] : 0xff;
            out_ = byte >> (7 - bit % 8) & 1;
        }
        before_ = sck;
        return out_;
    }

private:
    const std::vector<std::uint8_t> content_;
    const std::uint32_t begin_;
    bool before_ = false, awake_ = false, reading_ = false, out_ = false;
    std::uint32_t shift_ = 0, count_ = 0, address_ = 0;
};

// Not all boards have a flash to boot from.
template <class Board>
auto wire(Board& board, Flash& flash, int) -> decltype(board.flash_cs_n, bool()) {
    board.flash_cipo = flash.line(board.flash_cs_n, board.flash_sck, board.flash_copi);
    return !board.flash_cs_n;
}

template <class Board>
bool wire(Board&, Flash&, long) {
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 5) return 2;
    Uart uart(std::atoi(argv[1]));
    const std::int64_t most_quiet = std::atoll(argv[2]);
    std::vector<std::uint8_t> content;
    if (argc == 5) {
        std::ifstream file(argv[3], std::ios::binary);
        content.assign(std::istreambuf_iterator<char>(file), {});
    }
    Flash flash(content, argc == 5 ? std::strtoul(argv[4], nullptr, 0) : 0);

    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) return 1;
    // Held open and raw, so that hosts may come and go.
    const int held = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    termios raw;
    if (held < 0 || tcgetattr(held, &raw)) return 1;
    cfmakeraw(&raw);
    if (tcsetattr(held, TCSANOW, &raw)) return 1;
    std::printf("%s\n", ptsname(terminal));
    std::fflush(stdout);

    auto context = std::make_unique<VerilatedContext>();
    auto board = std::make_unique<Vtop>(context.get());
    board->rx = 1;
    std::int64_t quiet = 0;
    for (std::uint64_t cycle = 1;; ++cycle) {  // from 1: the host is not heard during reset
        if (cycle % kBurst == 0 || quiet > most_quiet) {
            pollfd waits[] = {{terminal, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
            poll(waits, 2, quiet > most_quiet ? -1 : 0);
            std::uint8_t bytes[4096];
            if (waits[0].revents & POLLIN) {
                const ssize_t n = read(terminal, bytes, sizeof bytes);
                for (ssize_t k = 0; k < n; ++k) uart.to_board.push_back(bytes[k]);
                quiet = 0;
            }
            if (waits[1].revents && read(STDIN_FILENO, bytes, sizeof bytes) <= 0) break;
        }
        board->clk = 0;
        board->eval();
        board->rst = cycle < 5;
        board->rx = uart.line();
        uart.hear(board->tx);
        const bool boots = wire(*board, flash, 0);
        board->clk = 1;
        board->eval();
        while (!uart.from_board.empty()) {
            const std::uint8_t byte = uart.from_board.front();
            if (write(terminal, &byte, 1) != 1) break;  // nobody reads: later
            uart.from_board.pop_front();
        }
        quiet = uart.busy() || boots ? 0 : quiet + 1;
    }
    board->final();
    return 0;
}
