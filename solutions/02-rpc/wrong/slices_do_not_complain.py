# caught by: test_what_is_no_message
# replaces: marshaling.py
# Where the bytes end too early, a slice is only shorter: half a text is taken for a text.
import struct
from typing import Any
Value = Any

def marshal(value):
    match value:
        case None | bool():
            return {None: b'\xc0', False: b'\xc2', True: b'\xc3'}[value]
        case int():
            return b'\xd3' + struct.pack('!q', value)
        case float():
            return b'\xcb' + struct.pack('!d', value)
        case str():
            text = value.encode()
            return b'\xdb' + struct.pack('!I', len(text)) + text
        case list():
            return b'\xdd' + struct.pack('!I', len(value)) + b''.join(map(marshal, value))
        case dict():
            pairs = [marshal(part) for pair in value.items() for part in pair]
            return b'\xdf' + struct.pack('!I', len(value)) + b''.join(pairs)
        case _:
            raise TypeError(f'a {type(value).__name__} does not travel')

def read_value(data, start):
    constants = {192: None, 194: False, 195: True}
    numbers = {202: '!f', 203: '!d', 204: '!B', 205: '!H', 206: '!I', 207: '!Q', 208: '!b', 209: '!h', 210: '!i', 211: '!q'}
    lengths = {217: ('!B', str), 218: ('!H', str), 219: ('!I', str), 220: ('!H', list), 221: ('!I', list), 222: ('!H', dict), 223: ('!I', dict)}
    if start >= len(data):
        raise ValueError('a value is missing')
    first, after = (data[start], start + 1)
    if first <= 127 or first >= 224:
        return (first if first <= 127 else first - 256, after)
    if first in constants:
        return (constants[first], after)
    if first in numbers:
        return read_number(data, after, numbers[first])
    if first in lengths:
        form, kind = lengths[first]
        length, after = read_number(data, after, form)
        return read_many(data, after, kind, length)
    if first <= 191:
        kind = dict if first <= 143 else list if first <= 159 else str
        return read_many(data, after, kind, first & (31 if kind is str else 15))
    raise ValueError(f'nothing in this lab begins with {first:#04x}')

def read_number(data, start, form):
    end = start + struct.calcsize(form)
    if end > len(data):
        raise ValueError('a number is cut off')
    return (struct.unpack_from(form, data, start)[0], end)

def read_many(data, start, kind, length):
    if kind is str:
        return (data[start:start + length].decode(), start + length)
    values = []
    for _ in range(length if kind is list else 2 * length):
        value, start = read_value(data, start)
        values.append(value)
    if kind is list:
        return (values, start)
    if any((isinstance(key, list | dict) for key in values[::2])):
        raise ValueError('a list or a map is no key')
    return (dict(zip(values[::2], values[1::2], strict=True)), start)

def unmarshal(data):
    value, end = read_value(data, 0)
    if end < len(data):
        raise ValueError(f'{len(data) - end} bytes follow the value')
    return value
