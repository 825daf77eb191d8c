import fc from 'fast-check'
import t from 'tap'
import { formatCursor, parseCursor } from '../../src/pool/listing.ts'

t.test('a cursor comes back as it was', async () => {
  const cursor = fc.record({
    scope: fc.constantFrom('all' as const, 'one' as const),
    state: fc.constantFrom('free' as const, 'leased' as const, 'cooling' as const),
    below: fc.nat(16_000_000)
  })
  fc.assert(
    fc.property(cursor, cursor => {
      const parsed = parseCursor(formatCursor(cursor))
      return parsed?.scope === cursor.scope && parsed.state === cursor.state && parsed.below === cursor.below
    })
  )
})

t.test('a cursor needs no escape in a query', async t => {
  t.match(formatCursor({ scope: 'all', state: 'cooling', below: 16_000_000 }), /^[A-Za-z0-9_-]+$/)
})

t.test('what is no cursor is not taken for one', async t => {
  const encode = (text: string): string => Buffer.from(text).toString('base64url')
  for (const text of [
    '',
    '-1',
    'all.free.1',
    encode('all.free.'),
    encode('all.free.-1'),
    encode('all.free.123456789'),
    encode('all.retired.1'),
    encode('two.free.1'),
    encode('all.free.1.1')
  ])
    t.equal(parseCursor(text), undefined, text)
})
