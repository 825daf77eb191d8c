import t from 'tap'
import { check } from './checker.ts'
import type { Asked, Call, KeyTold, LeaseTold, Terms, Told } from './history.ts'

const TERMS: Terms = { leaseMs: 2000, maxHoldMs: 4000, keepAliveMs: 100_000 }
const MARGIN_MS = 3
const K = 'k'
const LIFE = TERMS.keepAliveMs

/** A call between two instants, in milliseconds from the time at which the key was generated. */
function call(start: number, end: number, asked: Asked, answer: Told | 'unknown'): Call {
  return { start, end, asked, answer }
}

const born = (id = K): Call => {
  const keys = [{ id, keepAliveBy: LIFE, lease: null }]
  return call(0, 1, { verb: 'generate', count: 1 }, { status: 201, keys })
}

function leaseOf(fence: number, acquiredAt: number, leaseMs = 1000, keyId = K): LeaseTold {
  return { keyId, fence, acquiredAt, expiresAt: acquiredAt + leaseMs, keepAliveBy: LIFE }
}

function acquire(
  start: number,
  end: number,
  lease: LeaseTold | 'unknown',
  { holder = `of ${start}`, began = start } = {}
) {
  const answer = lease === 'unknown' ? lease : { status: 201, lease }
  return call(start, end, { verb: 'acquire', holder, began, leaseMs: 1000 }, answer)
}

function release(start: number, end: number, fence: number, status: number | 'unknown'): Call {
  return call(start, end, { verb: 'release', keyId: K, fence }, status === 'unknown' ? status : { status })
}

function read(start: number, end: number, fence: number, lease?: LeaseTold): Call {
  return call(start, end, { verb: 'read', keyId: K, fence }, lease ? { status: 200, lease } : { status: 410 })
}

function renew(start: number, end: number, fence: number, lease?: LeaseTold | 'unknown'): Call {
  const answer = lease === 'unknown' ? lease : lease ? { status: 200, lease } : { status: 410 }
  return call(start, end, { verb: 'renew', keyId: K, fence, leaseMs: 1000 }, answer)
}

function look(start: number, end: number, lease?: KeyTold['lease'] | 404, keepAliveBy = LIFE): Call {
  const answer = lease === 404 ? { status: 404 } : { status: 200, keys: [{ id: K, keepAliveBy, lease: lease ?? null }] }
  return call(start, end, { verb: 'look', keyId: K }, answer)
}

function keepAlive(start: number, end: number, keepAliveBy: number | 'unknown' | 404): Call {
  const keys = [{ id: K, keepAliveBy: Number(keepAliveBy), lease: null }]
  const told = keepAliveBy === 404 ? { status: 404 } : { status: 200, keys }
  return call(start, end, { verb: 'keepAlive', keyId: K }, keepAliveBy === 'unknown' ? 'unknown' : told)
}

function unblock(start: number, end: number, status: number | 'unknown', fence?: number): Call {
  return call(start, end, { verb: 'unblock', keyId: K, fence }, status === 'unknown' ? status : { status })
}

function remove(start: number, end: number, status: number | 'unknown'): Call {
  return call(start, end, { verb: 'delete', keyId: K }, status === 'unknown' ? status : { status })
}

const A = leaseOf(5, 10)
const B = leaseOf(6, 50)
const NO_ORDER = 'no order explains the answers'

type Facts = Record<string, Call[]>

const RIGHT: Facts = {
  'a key is held by one after the other': [born(), acquire(9, 12, A), release(20, 22, 5, 204), acquire(49, 52, B)],
  'calls that overlap have happened in either order': [
    born(),
    acquire(9, 12, A),
    release(30, 60, 5, 204),
    acquire(40, 55, B),
    look(41, 70, { fence: 5, holder: 'of 9', expiresAt: 1010 }),
    look(31, 54)
  ],
  'a release that is repeated is answered alike until somebody else has the key': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 204),
    release(23, 24, 5, 204),
    acquire(49, 52, B),
    release(60, 61, 5, 410)
  ],
  'a lease ends at its deadline, give or take a few milliseconds': [
    born(),
    acquire(9, 12, A),
    read(1000, 1012, 5, A),
    read(1009, 1011, 5),
    release(1020, 1021, 5, 410),
    acquire(1029, 1032, leaseOf(6, 1030))
  ],
  'a renewed lease ends later': [
    born(),
    acquire(9, 12, A),
    renew(100, 102, 5, { ...A, expiresAt: 1101 }),
    read(1050, 1051, 5, { ...A, expiresAt: 1101 }),
    read(1105, 1106, 5)
  ],
  'a lease that is unblocked is lost to its holder': [
    born(),
    unblock(2, 3, 409),
    acquire(9, 12, A),
    unblock(14, 15, 410, 4),
    unblock(20, 22, 204, 5),
    release(23, 24, 5, 410),
    renew(25, 26, 5)
  ],
  'a deleted key is unknown': [born(), acquire(9, 12, A), remove(20, 22, 204), look(23, 24, 404), read(25, 26, 5)],
  'a life ends at its deadline, which a call moves': [
    born(),
    keepAlive(99_990, 99_995, 199_992),
    look(150_000, 150_001, undefined, 199_992),
    look(199_990, 200_000, 404),
    keepAlive(200_010, 200_011, 404)
  ],
  'a lost release may have happened, and late': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 'unknown'),
    read(30, 32, 5, A),
    acquire(49, 52, B)
  ],
  'a lost release may not have happened': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 'unknown'),
    release(900, 902, 5, 204)
  ],
  'a lost renewal may have moved the end, which is told later': [
    born(),
    acquire(9, 12, A),
    renew(100, 102, 5, 'unknown'),
    read(1050, 1051, 5, { ...A, expiresAt: 1101 }),
    read(1110, 1111, 5)
  ],
  'a lost deletion, a lost unblock and a lost keeping alive may have happened': [
    born(),
    keepAlive(20, 21, 'unknown'),
    look(30, 31, undefined, LIFE + 21),
    acquire(49, 52, { ...B, keepAliveBy: LIFE + 21 }),
    unblock(55, 56, 'unknown'),
    read(60, 61, 6),
    remove(62, 63, 'unknown'),
    look(70, 71, 404)
  ],
  'a lost call for a lease may have leased the key, with a fence that nobody knows': [
    born(),
    acquire(9, 12, A),
    acquire(13, 14, 'unknown'),
    release(20, 22, 5, 204),
    release(30, 31, 5, 410),
    unblock(32, 33, 204)
  ],
  'a lease whose answer was lost shows in the key': [
    born(),
    acquire(9, 12, 'unknown', { holder: 'h' }),
    look(20, 21, { fence: 5, holder: 'h', expiresAt: 1010 }),
    read(22, 23, 6),
    acquire(1020, 1032, leaseOf(7, 1030))
  ],
  'a retry is given the lease of the attempt whose answer was lost': [
    born(),
    acquire(9, 12, 'unknown', { holder: 'h' }),
    acquire(30, 32, A, { holder: 'h', began: 9 }),
    acquire(40, 42, A, { holder: 'h', began: 9 })
  ],
  'a retry is given another lease once the first has ended': [
    born(),
    born('l'),
    acquire(9, 12, A, { holder: 'h' }),
    release(20, 30, 5, 204),
    acquire(25, 52, leaseOf(6, 26, 1000, 'l'), { holder: 'h', began: 9 })
  ],
  'a retry tells the present end of the life': [
    born(),
    acquire(9, 12, 'unknown', { holder: 'h' }),
    call(
      20,
      21,
      { verb: 'keepAlive', keyId: K },
      {
        status: 200,
        keys: [{ id: K, keepAliveBy: LIFE + 20, lease: { fence: 5, holder: 'h', expiresAt: 1010 } }]
      }
    ),
    acquire(30, 32, { ...A, keepAliveBy: LIFE + 20 }, { holder: 'h', began: 9 })
  ],
  'a key whose generation was lost is served': [
    call(0, 1, { verb: 'generate', count: 1 }, 'unknown'),
    acquire(9, 12, { ...A, keepAliveBy: LIFE + 1 })
  ]
}

const WRONG: Facts = {
  'two holders at once': [born(), acquire(9, 12, A), acquire(49, 52, B)],
  'two holders at once, though the first has released later': [
    born(),
    acquire(9, 12, A),
    acquire(49, 52, B),
    release(60, 61, 5, 204)
  ],
  'a release that is answered 204 after somebody else was given the key': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 204),
    acquire(49, 52, B),
    release(60, 61, 5, 204)
  ],
  'a release that ends the lease of the next': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 204),
    acquire(49, 52, B),
    release(60, 61, 5, 410),
    look(70, 71)
  ],
  'a release that is answered 204 after the deadline': [born(), acquire(9, 12, A), release(1020, 1021, 5, 204)],
  'a renewal after a release': [
    born(),
    acquire(9, 12, A),
    release(20, 22, 5, 204),
    renew(30, 32, 5, { ...A, expiresAt: 1031 })
  ],
  'a renewal after the deadline': [born(), acquire(9, 12, A), renew(1020, 1022, 5, { ...A, expiresAt: 2021 })],
  'a renewal that shortens': [born(), acquire(9, 12, A), renew(30, 32, 5, { ...A, expiresAt: 1000 })],
  'a renewal that gives too much': [born(), acquire(9, 12, A), renew(30, 32, 5, { ...A, expiresAt: 1200 })],
  'a renewal that is undone': [
    born(),
    acquire(9, 12, A),
    renew(500, 502, 5, { ...A, expiresAt: 1501 }),
    read(1020, 1022, 5)
  ],
  'a lease that is lost before its deadline': [born(), acquire(9, 12, A), read(1000, 1002, 5)],
  'a lease that goes on after its deadline': [born(), acquire(9, 12, A), read(1020, 1022, 5, A)],
  'a lease that goes on after it was unblocked': [born(), acquire(9, 12, A), unblock(20, 22, 204), read(30, 32, 5, A)],
  'an unblock of a free key that is answered 204': [born(), unblock(20, 22, 204)],
  'an unblock that takes another lease': [born(), acquire(9, 12, A), unblock(20, 22, 204, 4)],
  'a key that is served after its deletion': [born(), remove(20, 22, 204), acquire(49, 52, B)],
  'a key that is deleted twice': [born(), remove(20, 22, 204), remove(30, 32, 204)],
  'a key that is shown after its life': [born(), look(100_010, 100_011)],
  'a key that is gone before its end': [born(), look(99_000, 99_001, 404)],
  'a key that is revived': [born(), look(99_990, 100_000, 404), keepAlive(100_010, 100_011, 200_010)],
  'a keeping alive that is undone': [born(), keepAlive(20, 21, LIFE + 20), look(30, 31)],
  'a key that nobody has made': [acquire(9, 12, A)],
  'a lost release that has happened twice': [
    born(),
    acquire(9, 12, A),
    unblock(20, 21, 'unknown'),
    read(30, 31, 5),
    acquire(49, 52, B),
    read(60, 61, 6)
  ],
  'a lost release of another lease': [born(), acquire(9, 12, A), release(20, 21, 4, 'unknown'), acquire(49, 52, B)],
  'a call that is lost later than what it would explain': [
    born(),
    acquire(9, 12, A),
    acquire(49, 52, B),
    release(53, 54, 5, 'unknown')
  ],
  'a retry that is given another lease while the first runs': [
    born(),
    born('l'),
    acquire(9, 12, A, { holder: 'h' }),
    acquire(49, 52, leaseOf(6, 50, 1000, 'l'), { holder: 'h', began: 9 })
  ],
  'a retry whose lease had ended': [
    born(),
    acquire(9, 12, A, { holder: 'h' }),
    release(20, 22, 5, 204),
    acquire(30, 32, A, { holder: 'h', began: 9 })
  ]
}

for (const [name, calls] of Object.entries(RIGHT)) {
  t.test(`right: ${name}`, async t => {
    t.strictSame(check(calls, TERMS, MARGIN_MS), [])
  })
}

for (const [name, calls] of Object.entries(WRONG)) {
  t.test(`wrong, and found: ${name}`, async t => {
    t.match(check(calls, TERMS, MARGIN_MS), [{ what: NO_ORDER, keyId: K, history: [/generate|acquire/] }])
  })
}

/** What is wrong whichever key it is of. */
const WRONG_FENCES: Record<string, [what: RegExp, calls: Call[]]> = {
  'a fence that repeats with another key': [
    /the fence 5 repeats/,
    [born(), born('l'), acquire(9, 12, A), acquire(49, 52, leaseOf(5, 50, 1000, 'l'))]
  ],
  'a fence that repeats with another holder': [
    /the fence 5 repeats/,
    [born(), acquire(9, 12, A), release(20, 22, 5, 204), acquire(49, 52, leaseOf(5, 50))]
  ],
  'a smaller fence than one that was given before': [
    /the fence 4 was given after 5/,
    [born(), born('l'), acquire(9, 12, A), acquire(49, 52, leaseOf(4, 50, 1000, 'l'))]
  ],
  'a lease of a caller who was refused': [
    /h holds a lease with the fence 5, and was given none/,
    [
      born(),
      call(9, 12, { verb: 'acquire', holder: 'h', began: 9, leaseMs: 1000 }, { status: 404 }),
      look(20, 21, { fence: 5, holder: 'h', expiresAt: 1010 })
    ]
  ],
  'a lease that was given before it was asked for': [
    /given when its holder did not ask/,
    [born(), acquire(49, 52, leaseOf(5, 10))]
  ],
  'an answer that the call does not have': [/release was answered with 500/, [born(), release(20, 21, 5, 500)]],
  'an unblock of any lease that is lost to another': [
    /unblock was answered with 410/,
    [born(), acquire(9, 12, A), unblock(20, 21, 410)]
  ],
  'an answer that tells nothing': [
    /look was answered with 200/,
    [born(), call(9, 10, { verb: 'look', keyId: K }, { status: 200 })]
  ]
}

for (const [name, [what, calls]] of Object.entries(WRONG_FENCES)) {
  t.test(`wrong, and found: ${name}`, async t => {
    t.match(check(calls, TERMS, MARGIN_MS)[0]?.what, what)
  })
}

t.test('leases that were asked for at once have their fences in any order', async t => {
  const calls = [born(), born('l'), acquire(5, 60, leaseOf(6, 20)), acquire(6, 61, leaseOf(5, 20, 1000, 'l'))]
  t.strictSame(check(calls, TERMS, MARGIN_MS), [])
})

t.test('a history is shown around the call that is wrong', async t => {
  const long = Array.from({ length: 100 }, (_, i) => look(20 * i + 100, 20 * i + 101))
  const [wrong] = check([born(), ...long, read(1010, 1011, 3, leaseOf(3, 1000))], TERMS, 3)
  t.ok((wrong?.history.length ?? 0) < 30)
  t.equal(wrong?.history.filter(line => line.startsWith('> ') && line.includes('read: running fence 3')).length, 1)
})
