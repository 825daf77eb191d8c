import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { formatLeaseId, parseLeaseId } from '../../src/pool/lease-id.ts'

const ID = keyId('abcd')

t.test('the id of a lease comes back as it was', async t => {
  for (const fence of [1, 10, 109, Number.MAX_SAFE_INTEGER])
    t.strictSame(parseLeaseId(formatLeaseId(ID, fence)), { keyId: ID, fence })
})

t.test("a lease's id is its key's id, a dot and its fence, written in one way", async t => {
  t.strictSame(parseLeaseId(`${ID}.1`), { keyId: ID, fence: 1 })
  t.strictSame(parseLeaseId(`${ID}.109`), { keyId: ID, fence: 109 })
  t.strictSame(parseLeaseId(`${ID}.${Number.MAX_SAFE_INTEGER}`), { keyId: ID, fence: Number.MAX_SAFE_INTEGER })
  for (const text of [
    '',
    ID,
    `${ID}.`,
    `${ID}.0`,
    `${ID}.01`,
    `${ID}.-1`,
    `${ID}.1 `,
    `${ID}.1e3`,
    `${ID}.1.5`,
    `${ID}:1`,
    `${ID}x.1`,
    `${ID.slice(1)}.1`,
    `${ID}.${Number.MAX_SAFE_INTEGER + 1}`,
    `${ID}.${'9'.repeat(400)}`
  ])
    t.equal(parseLeaseId(text), undefined, text)
})
