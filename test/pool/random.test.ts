import t from 'tap'
import { cryptoRandom } from '../../src/pool/random.ts'

// True randomness is left in only here, where it is what is tested: no assertion below depends on what is drawn,
// but for repeats whose chance is under 2^-100.

t.test('a number is an integer of 0 … limit - 1', async t => {
  const random = cryptoRandom()
  for (const limit of [1, 2, 3, 10, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
    for (let draws = 0; draws < 5000; draws++) {
      const drawn = random.below(limit)
      if (!Number.isInteger(drawn) || drawn < 0 || drawn >= limit) t.fail(`${drawn} of ${limit}`)
    }
  }
  t.equal(random.below(1), 0)
})

t.test('each number below a small limit is drawn sooner or later', async t => {
  const random = cryptoRandom()
  const drawn = new Set(Array.from({ length: 2000 }, () => random.below(7)))
  t.equal(drawn.size, 7)
})

t.test('a limit past 2^32 draws past 2^32', async t => {
  const random = cryptoRandom()
  const largest = Math.max(...Array.from({ length: 200 }, () => random.below(Number.MAX_SAFE_INTEGER)))
  t.ok(largest > 2 ** 32)
})

t.test('bytes are as many as asked for, also more than are kept in store', async t => {
  const random = cryptoRandom()
  for (const count of [0, 1, 20, 8191, 8192, 8193, 100_000]) t.equal(random.bytes(count).length, count)
})

t.test('no bytes are given twice, also where the store runs out between two calls', async t => {
  const random = cryptoRandom()
  const seen = new Set<string>()
  for (let calls = 0; calls < 3000; calls++) seen.add(Buffer.from(random.bytes(19)).toString('hex'))
  t.equal(seen.size, 3000)
})

t.test('numbers and bytes never share their randomness', async t => {
  const random = cryptoRandom()
  const seen = new Set<string>()
  for (let calls = 0; calls < 3000; calls++) {
    seen.add(Buffer.from(random.bytes(16)).toString('hex'))
    random.below(1000)
  }
  t.equal(seen.size, 3000)
})

t.test('two sources differ', async t => {
  const [one, other] = [cryptoRandom(), cryptoRandom()]
  t.notSame(Buffer.from(one.bytes(16)), Buffer.from(other.bytes(16)))
})
