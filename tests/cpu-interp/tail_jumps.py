#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks whether the compiler has made of each handler of the software CPU what uop.h asks for.

usage: tail_jumps.py OBJECT...

OBJECT is cpu-interp.so of an optimized build. Each handler, a function op_*, is followed from its entry along all its
paths. On each of them
- what goes to the next handler is a jump, never a call whose result is returned,
- the stack is what it was at the entry when the handler is left, by a jump or by RET,
- RET gives NULL, for the run loop, or what a function that is called by its name gave.
The paths end as well in calls of functions that do not return, and in jumps to other functions by name.
"""
import collections
import re
import subprocess
import sys

HEAD = re.compile(r'^([0-9a-f]+) <(.+)>:$')
LINE = re.compile(r'^\s*([0-9a-f]+):\t(?:(?:bnd|notrack|lock|rep[nz]*|data16|cs|ds) )*(\S+)\s*(.*?)\s*(?:#.*)?$')
TARGET = re.compile(r'^([0-9a-f]+)(?: <([^>+]+)(?:\+0x[0-9a-f]+)?>)?$')
NORETURN = re.compile(r'^(raise_\w+|leave|__stack_chk_fail|abort|__assert_fail|\w*longjmp\w*)(@plt)?(\.\w+)*$')
WRITES_RAX = re.compile(r'(?:^|,)%(rax|eax|ax|al|ah)$')


def read(path):
    """Functions: name -> [(address, mnemonic, operands)], and what stands where."""
    said = subprocess.run(['objdump', '-d', '--no-show-raw-insn', path], check=True, capture_output=True, text=True).stdout
    functions, order, name = {}, {}, None
    for line in said.splitlines():
        head = HEAD.match(line)
        if head:
            name = head[2]
            at = int(head[1], 16)
            functions[name] = at
            continue
        code = LINE.match(line)
        if code and name:
            order[int(code[1], 16)] = (code[2], code[3], name)
    return functions, order


def base(name):
    """A part that the compiler moved elsewhere belongs to its function."""
    return re.sub(r'(\.cold|\.part|\.constprop|\.isra)(\.\d+)*', '', name)


class Handler:
    def __init__(self, name, entry, code, following):
        self.name, self.code, self.following = name, code, following
        self.faults, self.jumps = [], 0
        self.follow(entry)

    def fault(self, at, what):
        self.faults.append(f'{self.name}: {what} at {at:x}')

    def leave(self, at, depth, what):
        if depth:
            self.fault(at, f'{what} with {depth} bytes on the stack')

    def follow(self, entry):
        seen = {}
        work = collections.deque([(entry, 0, 'entry')])
        while work:
            at, depth, rax = work.popleft()
            while True:
                if (at, rax) in seen:
                    if seen[at, rax] != depth:
                        self.fault(at, 'paths with different stacks meet')
                    break
                seen[at, rax] = depth
                if at not in self.code:
                    break
                mnemonic, operands, _ = self.code[at]
                nexts, depth, rax = self.step(at, mnemonic, operands, depth, rax)
                for other in nexts[1:]:
                    work.append((other, depth, rax))
                if not nexts:
                    break
                at = nexts[0]

    def step(self, at, mnemonic, operands, depth, rax):
        """What may come next, the stack's depth then, and where RAX has come from."""
        after = self.following.get(at)
        plain = [after] if after is not None else []
        if mnemonic in ('push', 'pushq'):
            return plain, depth + 8, rax
        if mnemonic in ('pop', 'popq'):
            return plain, depth - 8, 'other' if operands == '%rax' else rax
        moved = re.match(r'^\$(-?0x[0-9a-f]+),%rsp$', operands)
        if moved and mnemonic in ('sub', 'add'):
            return plain, depth + int(moved[1], 16) * (1 if mnemonic == 'sub' else -1), rax
        moved = re.match(r'^(-?0x[0-9a-f]+)\(%rsp\),%rsp$', operands)
        if moved and mnemonic == 'lea':
            return plain, depth - int(moved[1], 16), rax
        if mnemonic.startswith('ret'):
            self.leave(at, depth, 'RET')
            if rax not in ('zero', 'function'):
                self.fault(at, {'handler': 'the next handler is called, not jumped to, before RET',
                                'indirect': 'a call through a pointer stands before RET'}.get(
                                    rax, 'RET of something that is not NULL'))
            return [], depth, rax
        if mnemonic in ('ud2', 'hlt'):
            return [], depth, rax
        if mnemonic.startswith('call'):
            target = TARGET.match(operands)
            name = target[2] or '' if target else ''
            if target and NORETURN.match(base(name)):
                return [], depth, rax
            if not target:
                return plain, depth, 'indirect'
            return plain, depth, 'handler' if name.startswith('op_') else 'function'
        if mnemonic.startswith('jmp'):
            if operands.startswith('*'):
                # A switch jumps within the function: by a register that was added to just before.
                if operands.startswith('*%r') and depth or re.match(r'^\*.*\(,%r\w+,8\)$', operands):
                    return [], depth, rax
                self.jumps += 1
                self.leave(at, depth, 'a jump')
                return [], depth, rax
            target = TARGET.match(operands)
            where = int(target[1], 16)
            if where in self.code and base(self.code[where][2]) == base(self.name):
                return [where], depth, rax
            self.jumps += 1
            self.leave(at, depth, 'a jump')
            return [], depth, rax
        if mnemonic.startswith('j'):
            target = TARGET.match(operands)
            where = int(target[1], 16) if target else None
            nexts = list(plain)
            if where in self.code and base(self.code[where][2]) == base(self.name):
                nexts.append(where)
            else:
                self.jumps += 1
                self.leave(at, depth, 'a jump')
            return nexts, depth, rax
        if mnemonic == 'xor' and operands == '%eax,%eax':
            return plain, depth, 'zero'
        if mnemonic.startswith('mov') and operands in ('$0x0,%eax', '$0x0,%rax'):
            return plain, depth, 'zero'
        if WRITES_RAX.search(operands) and not mnemonic.startswith(('cmp', 'test', 'bt')) and not \
                (mnemonic.startswith('push')):
            return plain, depth, 'other'
        return plain, depth, rax


def check(path):
    functions, code = read(path)
    addresses = sorted(code)
    following = {at: after for at, after in zip(addresses, addresses[1:])
                 if base(code[at][2]) == base(code[after][2])}
    faults, handlers, jumping = [], 0, 0
    for name, entry in functions.items():
        if not name.startswith('op_') or base(name) != name:
            continue
        handler = Handler(name, entry, code, following)
        handlers += 1
        jumping += handler.jumps > 0
        faults += handler.faults
    for fault in sorted(set(faults)):
        print(fault)
    print(f'{path}: {handlers} handlers, {jumping} go to others by a jump')
    if handlers < 1000:
        print('that are not all of them: is this cpu-interp.so, with its symbols?')
        return False
    if jumping < handlers * 9 // 10:
        print('those are too few: were tail calls off?')
        return False
    return not faults


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(not all([check(path) for path in sys.argv[1:]]))


main()
