/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * private-key.c: keeps a key in memory that the host cannot read, and works with it.
 *
 *     private-key [NUMBER]
 *
 * Answers each line of standard input with its SipHash-2-4 under that key, in hexadecimal. The key
 * is random, or is derived from NUMBER, so that one can look for it from the host. The contents of
 * the processor's registers may be on a stack for a moment: a program that has to be certain keeps
 * its stack in private memory, too.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

typedef struct {
    uint64_t words[2];
} Key;

static uint64_t
rotated(uint64_t word, unsigned int bits)
{
    return word << bits | word >> (64 - bits);
}

static void
mix(uint64_t v[4], unsigned int rounds)
{
    for (; rounds > 0; rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] = rotated(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] = rotated(v[2], 32);
    }
}

static uint64_t
tagOf(const Key *key, const char *text, size_t length)
{
    uint64_t v[4] = {
        key->words[0] ^ 0x736f6d6570736575,
        key->words[1] ^ 0x646f72616e646f6d,
        key->words[0] ^ 0x6c7967656e657261,
        key->words[1] ^ 0x7465646279746573,
    };

    for (size_t at = 0; at <= length; at += 8) {
        const size_t rest = length - at < 8 ? length - at : 8;
        uint64_t word = 0;

        memcpy(&word, text + at, rest);
        if (rest < 8)
            word |= (uint64_t)length << 56;
        v[3] ^= word;
        mix(v, 2);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Each word is written directly to its place, so no copy remains elsewhere. */
static int
makeKey(Key *key, const char *number)
{
    uint64_t state;

    if (!number)
        return getrandom(key, sizeof(*key), 0) == sizeof(*key) ? 0 : -1;
    state = strtoull(number, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        /* One step of SplitMix64. */
        uint64_t word = state += 0x9e3779b97f4a7c15;

        word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
        word = (word ^ word >> 27) * 0x94d049bb133111eb;
        key->words[i] = word ^ word >> 31;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    const int device = open("/dev/private-memory", O_RDWR | O_CLOEXEC);
    Key *key = MAP_FAILED;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (argc > 2) {
        fputs("usage: private-key [NUMBER]\n", stderr);
        return 2;
    }
    if (device >= 0)
        key = mmap(NULL, sizeof(*key), PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
    if (key == MAP_FAILED || makeKey(key, argv[1]) < 0) {
        fprintf(stderr, "private-key: /dev/private-memory: %s\n", strerror(errno));
        return 1;
    }
    close(device); /* the mapping stays */
    setlinebuf(stdout);
    while ((length = getline(&line, &size, stdin)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            length--;
        printf("%016" PRIx64 "\n", tagOf(key, line, (size_t)length));
    }
    free(line);
    munmap(key, sizeof(*key)); /* overwritten, and shared with the host again */
    return 0;
}
