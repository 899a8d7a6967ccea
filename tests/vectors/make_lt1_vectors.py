#!/usr/bin/env python3
"""Computes tests/vectors/lt1.json from docs/PROTOCOL.md, sections 2, 4, 5, 6 and 8, and from nothing else.

HMAC and HKDF are the standard library's; AES-256-GCM is written out below (FIPS 197, NIST SP 800-38D), so that no
library stands on both sides of the comparison. The program checks itself against published vectors before it writes.

    tests/vectors/make_lt1_vectors.py > tests/vectors/lt1.json
"""
import hashlib
import hmac
import json

# --- AES-256, forward only (FIPS 197) ---


def xtime(a):
    return (a << 1 ^ (0x11B if a & 0x80 else 0)) & 0xFF


def gf_multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = xtime(a), b >> 1
    return product


def make_sbox():
    box = []
    for value in range(256):
        inverse = next((x for x in range(256) if gf_multiply(value, x) == 1), 0)
        out = 0x63
        for turn in range(5):
            out ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
        box.append(out)
    return box


SBOX = make_sbox()


def expand_key(key):
    words = [list(key[4 * i:4 * i + 4]) for i in range(8)]
    constant = 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = xtime(constant)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * r:4 * r + 4], []) for r in range(15)]


def aes_block(round_keys, block):
    state = [a ^ b for a, b in zip(block, round_keys[0])]
    for number in range(1, 15):
        state = [SBOX[b] for b in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if number < 14:
            mixed = []
            for column in range(4):
                c = state[4 * column:4 * column + 4]
                for row in range(4):
                    mixed.append(
                        xtime(c[row]) ^ xtime(c[(row + 1) % 4]) ^ c[(row + 1) % 4] ^ c[(row + 2) % 4] ^ c[(row + 3) % 4])
            state = mixed
        state = [a ^ b for a, b in zip(state, round_keys[number])]
    return bytes(state)


# --- GCM (NIST SP 800-38D) ---


def ghash_multiply(x, y):
    product = 0
    for i in range(127, -1, -1):
        if x >> i & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def gcm_seal(key, nonce, aad, text):
    keys = expand_key(key)
    h = int.from_bytes(aes_block(keys, bytes(16)), "big")
    stream = b"".join(
        aes_block(keys, nonce + (i + 2).to_bytes(4, "big")) for i in range((len(text) + 15) // 16))
    sealed = bytes(a ^ b for a, b in zip(text, stream))

    def padded(data):
        return data + bytes(-len(data) % 16)

    y = 0
    hashed = padded(aad) + padded(sealed) + (8 * len(aad)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    for at in range(0, len(hashed), 16):
        y = ghash_multiply(y ^ int.from_bytes(hashed[at:at + 16], "big"), h)
    mask = int.from_bytes(aes_block(keys, nonce + (1).to_bytes(4, "big")), "big")
    return sealed + (y ^ mask).to_bytes(16, "big")


# --- HKDF (RFC 5869) and LT1's labels ---


def hmac_sha256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def hkdf_extract(salt, ikm):
    return hmac_sha256(salt, ikm)


def hkdf_expand(prk, info, length):
    out, block, number = b"", b"", 1
    while len(out) < length:
        block = hmac_sha256(prk, block + info + bytes([number]))
        out, number = out + block, number + 1
    return out[:length]


def expand_label(secret, label, length):
    full = b"lt1 " + label
    return hkdf_expand(secret, length.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0", length)


def check_ourselves():
    # FIPS 197 C.3
    got = aes_block(expand_key(bytes(range(32))), bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert got.hex() == "8ea2b7ca516745bfeafc49904b496089"
    # McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    text = bytes.fromhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = gcm_seal(key, bytes.fromhex("cafebabefacedbaddecaf888"), aad, text)
    assert sealed[-16:].hex() == "76fc6ece0f4e1768cddf8853bb2d551b"
    # RFC 5869 A.1
    prk = hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert hkdf_expand(prk, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


# --- what LT1 makes of it ---


def record(chain, counter, record_type, text):
    header = bytes([0xA5, record_type, 0, 0]) + (len(text) + 16).to_bytes(4, "big")
    nonce = bytes(a ^ b for a, b in zip(chain["iv"], bytes(4) + counter.to_bytes(8, "big")))
    return header + gcm_seal(chain["key"], nonce, header, text)


def chain_of(x):
    return {"x": x, "key": expand_label(x, b"key", 32), "iv": expand_label(x, b"iv", 12)}


def schedule(ekm, psk):
    root = hkdf_extract(psk if psk else bytes(32), ekm)
    names = {"confirm_c": b"c confirm", "confirm_s": b"s confirm", "join": b"join",
             "x0_client": b"c traffic 0", "x0_server": b"s traffic 0"}
    return {name: expand_label(root, label, 32) for name, label in names.items()}


def knock(server_key, psk, random):
    key = expand_label(hkdf_extract(b"LT1 knock", server_key + (psk if psk else bytes(32))), b"knock", 32)
    signed = b"LT1\0" + bytes(4) + random
    return signed + hmac_sha256(key, signed)[:16]


def prefix_hash(client, server):
    def joined(prefixes):
        return b"".join(text + b"," for text in sorted(prefixes))
    return hmac_sha256(b"LT1 prefixes", b"client " + joined(client) + b" server " + joined(server))


def main():
    check_ourselves()
    client_key, server_key = bytes(range(0x10, 0x30)), bytes(range(0x80, 0xA0))
    random, psk, ekm = bytes(range(0xC0, 0xD0)), bytes(range(0x40, 0x60)), bytes(range(64))
    with_psk, without = schedule(ekm, psk), schedule(ekm, b"")
    first = chain_of(without["x0_client"])
    second = chain_of(expand_label(first["x"], b"upd", 32))
    records = [
        (first, 0, 2, bytes(8) + b"ping"),
        (first, 1, 1, bytes(range(61))),
        (first, 2, 4, b"\0"),
        (second, 0, 1, b"epoch one"),
        (second, 1, 5, b"\1" + (1).to_bytes(8, "big")),
    ]
    prefixes = [b"10.1.0.0/16", b"10.1.2.0/24", b"192.168.10.0/24", b"fd00:1::/48"], [b"10.2.0.0/24"]
    out = {
        "origin": "tests/vectors/make_lt1_vectors.py",
        "client_key": client_key, "server_key": server_key, "knock_random": random, "psk": psk, "ekm": ekm,
        "context": b"LT1\x01" + client_key + server_key + random,
        "knock": knock(server_key, b"", random), "knock_with_psk": knock(server_key, psk, random),
        "without_psk": without, "with_psk": with_psk,
        "key_0": first["key"], "iv_0": first["iv"], "key_1": second["key"], "iv_1": second["iv"], "x_1": second["x"],
        "records": [{"type": t, "text": text, "sealed": record(c, n, t, text)} for c, n, t, text in records],
        "client_prefixes": [p.decode() for p in prefixes[0]], "server_prefixes": [p.decode() for p in prefixes[1]],
        "prefix_hash": prefix_hash(*prefixes),
    }
    print(json.dumps(out, indent=1, default=lambda value: value.hex()))


main()
