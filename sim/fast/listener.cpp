// Plays a microphone's bits to a verilated listener and writes down every word that it tells, or to
// its front end alone and writes down every element of its frames.
//
// Arguments: a file of bits, a byte each; a file of weights to load first, maybe empty; cycles a bit.
// A line a word on standard output: the number of bits before it, the word; or a line an element: it,
// unsigned, and whether it is a frame's last. At the end a line of strobes: dropped, lost.
// sim/fast/listener.py says LOADS and FRAMES.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

static std::vector<char> read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const auto context = std::make_unique<VerilatedContext>();
    context->randReset(2);
    context->randSeed(1);
    const auto top = std::make_unique<Vtop>(context.get());
    const std::vector<char> bits = read(argv[1]);
    const int every = std::atoi(argv[3]);
    long played = 0, dropped = 0, lost = 0;
    const auto tick = [&] {
        top->clk = 0;
        top->eval();
        if (!top->rst) {
#if FRAMES
            if (top->m_axis_tvalid)
                std::cout << int(top->m_axis_tdata) << ' ' << int(top->m_axis_tlast) << '\n';
#else
            if (top->told) std::cout << played << ' ' << int(top->word) << '\n';
#endif
            dropped += top->dropped;
            lost += top->lost;
        }
        top->clk = 1;
        top->eval();
    };
#if FRAMES
    top->m_axis_tready = 1;
#endif
    top->rst = 1;
    for (int n = 0; n < 4; n++) tick();
    top->rst = 0;
#if LOADS
    const std::vector<char> weights = read(argv[2]);
    for (std::size_t n = 0; n < weights.size();) {
        top->s_weights_tvalid = 1;
        top->s_weights_tdata = static_cast<unsigned char>(weights[n]);
        top->s_weights_tlast = n + 1 == weights.size();
        top->clk = 0;
        top->eval();
        n += top->s_weights_tready;
        tick();
    }
    top->s_weights_tvalid = 0;
#endif
    for (const char bit : bits) {
        top->pdm = bit;
        top->pdm_valid = 1;
        tick();
        top->pdm_valid = 0;
        played++;
        for (int n = 1; n < every; n++) tick();
    }
    std::cout << dropped << ' ' << lost << '\n';
    return 0;
}
