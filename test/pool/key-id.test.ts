import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { idBits, keyId } from '../../src/pool/key-id.ts'

t.test('an id is the first 22 characters of base64url(SHA-256(key))', async t => {
  t.equal(keyId('abc'), 'ungWv48Bz-pBQUDeXa4iI7')
  const key = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 512 })
  fc.assert(fc.property(key, key => keyId(key) === createHash('sha256').update(key).digest('base64url').slice(0, 22)))
})

t.test('an id stays what it is when others are made', async t => {
  const first = keyId('first')
  keyId('second')
  t.equal(first, keyId('first'))
  t.not(first, keyId('second'))
})

t.test('the bits of an id are its first five characters, the first the lowest', async t => {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  t.equal(idBits('A'.repeat(22)), 0)
  t.equal(idBits('_'.repeat(22)), 2 ** 30 - 1)
  t.equal(idBits(`B${'A'.repeat(21)}`), 1)
  t.equal(idBits(`AAAAA_${'A'.repeat(16)}`), 0)
  for (const [value, digit] of [...digits].entries()) t.equal(idBits(`AAAA${digit}`.padEnd(22, 'x')), value * 2 ** 24)
})

t.test('a string that is no id has bits too', async t => {
  for (const text of ['', '.', '~~~~~', 'ü€x', '\u0000']) {
    const bits = idBits(text)
    t.ok(Number.isInteger(bits) && bits >= 0 && bits < 2 ** 30, JSON.stringify(text))
  }
})
