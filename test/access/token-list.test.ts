import * as crypto from 'node:crypto'
import t from 'tap'
import type { Bearer } from '../../src/access/bearer.ts'
import { TokenList } from '../../src/access/token-list.ts'

const BEARER: Bearer = { name: 'ci', role: 'user', pools: '*' }
const SHA256 = crypto.hash('sha256', 'token', 'hex')
/** Hashes that differ from that of the token only at their ends. */
const ALMOST = ['0', '1', '2'].map(digit => `${SHA256.slice(0, -1)}${digit}`).filter(other => other !== SHA256)

t.test('the whole hash decides, not its beginning', async t => {
  const others = ALMOST.map((sha256, i) => ({ bearer: { ...BEARER, name: `other-${i}` }, sha256 }))
  t.equal(new TokenList(others).bearerOf('token'), undefined)
  t.equal(new TokenList([...others, { bearer: BEARER, sha256: SHA256 }]).bearerOf('token'), BEARER)
})

t.test('hashes are compared in constant time', async t => {
  const compared: [string, string][] = []
  const { TokenList: Watched } = await t.mockImport<typeof import('../../src/access/token-list.ts')>(
    '../../src/access/token-list.ts',
    {
      'node:crypto': {
        ...crypto,
        timingSafeEqual(a: Buffer, b: Buffer) {
          compared.push([a.toString('hex'), b.toString('hex')])
          return crypto.timingSafeEqual(a, b)
        }
      }
    }
  )
  const list = new Watched([{ bearer: BEARER, sha256: SHA256 }])
  t.equal(list.bearerOf('token'), BEARER)
  t.strictSame(compared, [[SHA256, SHA256]])
})
