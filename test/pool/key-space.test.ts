import fc from 'fast-check'
import t from 'tap'
import { createKeySpace, type Shape } from '../../src/pool/key-space.ts'
import type { Random } from '../../src/pool/random.ts'
import { seededRandom } from '../support/seeded-random.ts'

const never = (): boolean => false
const shape = (alphabet: string, length: number, prefix = ''): Shape => ({ alphabet, length, prefix })

/** The smallest space with more than 2^53 - 1 keys, and the largest below, of two characters. */
const VAST = shape('ab', 53)
const COUNTED = shape('ab', 52)

/** Every key of a small space. */
function allKeys({ alphabet, length, prefix }: Shape): string[] {
  let keys = [prefix]
  for (let i = 0; i < length; i++) keys = keys.flatMap(key => [...alphabet].map(character => key + character))
  return keys
}

t.test('the size of a space is its number of keys, exactly', async t => {
  for (const [{ alphabet, length, prefix }, size] of [
    [shape('ab', 1), 2n],
    [shape('abc', 4, 'sk_'), 81n],
    [COUNTED, 2n ** 52n],
    [VAST, 2n ** 53n],
    [shape('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 20), 62n ** 20n]
  ] as const) {
    const space = createKeySpace({ alphabet, length, prefix }, seededRandom(1), never)
    t.equal(space.size, size)
    t.equal(space.used, 0)
  }
})

t.test('a small space yields each of its keys once', async t => {
  for (const small of [shape('ab', 1), shape('ab', 3), shape('xyz!', 3, 'sk_'), shape('!~', 2, '~')]) {
    const keys = allKeys(small)
    const space = createKeySpace(small, seededRandom(2), never)
    t.strictSame(keys.map(() => space.draw()).sort(), keys.sort())
    t.equal(space.used, keys.length)
  }
})

t.test('the last key of a space is drawn as the first is', async t => {
  const space = createKeySpace(shape('ab', 2), seededRandom(3), never)
  for (const key of ['aa', 'ab', 'bb']) space.take(space.placeOf(key))
  t.equal(space.draw(), 'ba')
  space.giveBack(space.placeOf('ab'))
  t.equal(space.draw(), 'ab')
})

t.test('a key of another shape neither takes nor gives back', async t => {
  for (const large of [false, true]) {
    const { alphabet, length, prefix } = large ? shape('ab', 60, 'k-') : shape('ab', 3, 'k-')
    const space = createKeySpace({ alphabet, length, prefix }, seededRandom(4), never)
    const own = prefix + 'a'.repeat(length)
    for (const other of [
      '',
      'k-',
      own + 'a',
      own.slice(0, -1),
      own.slice(0, -1) + 'c',
      'K-' + own.slice(2),
      'aa' + own.slice(2)
    ]) {
      space.take(space.placeOf(other))
      t.equal(space.used, 0, other)
      space.giveBack(space.placeOf(other))
      t.equal(space.used, 0, other)
    }
    space.take(space.placeOf(own))
    t.equal(space.used, 1)
    space.giveBack(space.placeOf(own))
    t.equal(space.used, 0)
  }
})

t.test('a space of up to 2^53 - 1 keys never asks which keys are used', async t => {
  const space = createKeySpace(COUNTED, seededRandom(5), () => {
    throw new Error('asked')
  })
  const keys = new Set(Array.from({ length: 1000 }, () => space.draw()))
  t.equal(keys.size, 1000)
  for (const key of keys) if (!/^[ab]{52}$/.test(key)) t.fail(key)
  t.equal(space.used, 1000)
})

t.test('a key at either end of a large space is taken and given back', async t => {
  const space = createKeySpace(COUNTED, { below: limit => limit - 1, bytes: seededRandom(6).bytes }, never)
  const last = 'b'.repeat(52)
  t.equal(space.draw(), last)
  space.giveBack(space.placeOf(last))
  space.take(space.placeOf(last))
  t.not(space.draw(), last)
  t.equal(space.used, 2)
})

t.test('a vast space draws again where the key is used', async t => {
  const drawn: string[] = []
  const space = createKeySpace(shape('ab', 60, 'k-'), seededRandom(7), key => {
    drawn.push(key)
    return drawn.length < 4
  })
  t.equal(space.draw(), drawn[3])
  t.equal(drawn.length, 4)
  t.equal(new Set(drawn).size, 4)
  t.equal(space.used, 1)
  for (const key of drawn) t.match(key, /^k-[ab]{60}$/)
})

t.test('a vast space says so when its randomness is broken, and does not try for ever', async t => {
  const space = createKeySpace(VAST, seededRandom(8), () => true)
  t.throws(() => space.draw(), /randomness is broken/)
  t.equal(space.used, 0)
})

t.test('a number that the source favours can not make a space repeat itself', async t => {
  const stuck: Random = { below: () => 0, bytes: seededRandom(9).bytes }
  const space = createKeySpace(shape('abc', 3), stuck, never)
  t.equal(new Set(Array.from({ length: 27 }, () => space.draw())).size, 27)
})

const shapes = fc.constantFrom(shape('ab', 1), shape('ab', 3), shape('abc', 2, 'k'), shape('ba', 4), shape('0123', 2))
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ verb: fc.constant('draw' as const), random: fc.nat(1000) }) },
    fc.record({ verb: fc.constantFrom('take' as const, 'give back' as const), nth: fc.nat(20) }),
    fc.record({ verb: fc.constant('draw until empty' as const), random: fc.nat(1000) })
  ),
  { maxLength: 60 }
)

t.test('a space knows its unused keys as a plain list does', async () => {
  fc.assert(
    fc.property(shapes, steps, (shape, steps) => {
      let random = 0
      const space = createKeySpace(shape, { below: limit => random % limit, bytes: () => new Uint8Array() }, never)
      const unused = allKeys(shape)
      const used: string[] = []
      const pick = (from: string[], to: string[], nth: number): string => {
        const [key] = from.splice(nth % from.length, 1) as [string]
        to.push(key)
        return key
      }
      const draw = (): void => {
        const key = space.draw()
        if (!unused.includes(key)) throw new Error(`${key} was used, or is none`)
        pick(unused, used, unused.indexOf(key))
      }
      for (const step of steps) {
        if ('random' in step) {
          random = step.random
          if (step.verb === 'draw until empty') while (unused.length > 0) draw()
          else if (unused.length > 0) draw()
        } else if (step.verb === 'take') {
          if (unused.length > 0) space.take(space.placeOf(pick(unused, used, step.nth)))
        } else if (used.length > 0) {
          space.giveBack(space.placeOf(pick(used, unused, used.length - 1 - (step.nth % used.length))))
        }
        if (space.used !== used.length) throw new Error(`${space.used} are used, not ${used.length}`)
      }
    }),
    { numRuns: 1000 }
  )
})
