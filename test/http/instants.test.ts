import fc from 'fast-check'
import t from 'tap'
import { instant, instantOrNull } from '../../src/http/instants.ts'

t.test('an instant is what Date writes', async t => {
  for (const at of [0, 1, 999, 1000, Date.UTC(2026, 1, 29), Date.UTC(2099, 11, 31, 23, 59, 59, 999)]) {
    t.equal(instant(at), new Date(at).toISOString())
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), at => instant(at) === new Date(at).toISOString())
  )
})

t.test('instants, and seconds, that share a place in the cache do not mix', async t => {
  const base = Date.UTC(2026, 0, 1)
  for (const step of [1024, 1024 * 1000, 1024 * 1000 + 1]) {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5; i++) {
        const at = base + i * step
        t.equal(instant(at), new Date(at).toISOString())
      }
    }
  }
})

t.test('no instant is null', async t => {
  t.equal(instantOrNull(null), null)
  t.equal(instantOrNull(0), '1970-01-01T00:00:00.000Z')
})
