"""What may happen to bytes on their way, at random."""

from boards.memory.boot import header

HEADER = len(header(bytes(8), 0))


def line_damages(source):
    """What may befall a packet on its line, by name."""

    def flipped(line):
        damaged = bytearray(line)
        for _ in range(source.choice((1, 1, 2, 8))):
            damaged[source.randrange(len(line))] ^= 1 << source.randrange(8)
        return bytes(damaged)

    def cut(line):
        return line[: source.randrange(len(line))]

    def lost(line):
        place = source.randrange(len(line))
        return line[:place] + line[place + source.randint(1, 4) :]

    def inserted(line):
        place = source.randrange(len(line))
        return line[:place] + source.randbytes(source.randint(1, 4)) + line[place:]

    def rubbish(line):
        return source.randbytes(source.randint(1, 40)) + line

    def doubled(line):
        return line + line

    def long(line):
        return line[:-1] + source.randbytes(600) + line[-1:]

    def only_rubbish(line):
        return source.randbytes(len(line))

    every = (flipped, cut, lost, inserted, rubbish, doubled, long, only_rubbish)
    return {each.__name__: each for each in every}


def image_damages(source):
    """What may befall a weight image in its flash."""

    def erased(data):
        place = source.randrange(len(data))
        return data[:place] + bytes([0xFF]) * (len(data) - place)

    def flipped(data):
        damaged = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 5))):
            damaged[source.randrange(len(data))] ^= 1 << source.randrange(8)
        return bytes(damaged)

    def shifted(data):
        place = source.randrange(len(data))
        return data[:place] + bytes([source.randrange(256)]) + data[place:-1]

    def swapped(data):
        a, b = sorted(source.sample(range(HEADER, len(data)), 2))
        return data[:a] + data[b : b + 1] + data[a + 1 : b] + data[a : a + 1] + data[b + 1 :]

    return (erased, flipped, shifted, swapped)
