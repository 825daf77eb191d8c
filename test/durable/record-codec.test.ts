import fc from 'fast-check'
import t from 'tap'
import { decodeRecord, encodeRecord } from '../../src/durable/record-codec.ts'
import { KEY_STATES, type KeyRecord } from '../../src/pool/key-record.ts'

const instant = fc.integer({ min: 1, max: 2 ** 43 })
const orZero = fc.oneof(fc.constant(0), instant)
const text = fc.string({ unit: 'grapheme', maxLength: 128 })

const record: fc.Arbitrary<KeyRecord> = fc.record({
  key: fc.stringMatching(/^[!-~]{1,512}$/),
  serial: instant,
  createdAt: instant,
  activatedAt: orZero,
  keepAliveBy: fc.oneof(fc.constant(Infinity), instant),
  state: fc.constantFrom(...KEY_STATES),
  until: orZero,
  acquiredAt: orZero,
  fence: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  holdMs: orZero,
  holder: fc.option(text, { nil: undefined }),
  owner: fc.option(text, { nil: undefined }),
  metadata: fc.option(fc.dictionary(text, text, { maxKeys: 5 }), { nil: undefined })
})

t.test('a key is read as it was written', async t => {
  fc.assert(
    fc.property(record, instant, (written, credit) => {
      const served = written.until !== 0 || written.acquiredAt !== 0
      const expected = served ? written : { ...written, fence: 0, holdMs: 0 }
      t.strictSame(decodeRecord(encodeRecord(written, credit), credit), { ...expected, metadata: plain(expected) })
    }),
    { seed: 1, numRuns: 300 }
  )
})

t.test('a credit that has grown since moves the end of a life, and of nothing else', async t => {
  const written = fc.sample(record, { seed: 2, numRuns: 1 })[0] as KeyRecord
  const leased = { ...written, keepAliveBy: 5000, until: 300, acquiredAt: 200 }
  t.match(decodeRecord(encodeRecord(leased, 100), 350), { keepAliveBy: 5250, until: 300, createdAt: written.createdAt })
  t.match(decodeRecord(encodeRecord({ ...leased, keepAliveBy: Infinity }, 100), 350), { keepAliveBy: Infinity })
})

t.test('a retired key is nothing but its place', async t => {
  for (const place of [-1, 0, 7, 2 ** 53 - 1]) {
    const row = encodeRecord({ place }, 100)
    t.equal(row.length, 9)
    t.strictSame(decodeRecord(row, 200), { place })
  }
})

t.test('a row of another version is refused', async t => {
  t.throws(() => decodeRecord(Uint8Array.of(0, 3, 0, 0), 0), /version/)
})

/** As JSON gives it back. */
function plain({ metadata }: KeyRecord): unknown {
  return metadata === undefined ? undefined : { ...metadata }
}
