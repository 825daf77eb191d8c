import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type CertificateFiles, readCertificate, WrongCertificate } from '../../src/access/certificate.ts'
import { makeCertificate } from '../support/certificates.ts'

const folder = t.testdir()
const RIGHT = makeCertificate(folder, 'right')
const OTHER = makeCertificate(folder, 'other')

async function wrongIn(t: Test, files: CertificateFiles): Promise<string[]> {
  const error: unknown = await readCertificate(files).then(
    () => t.fail('it was read'),
    (error: unknown) => error
  )
  if (!(error instanceof WrongCertificate)) throw error
  return error.message.split('\n')
}

t.test('a certificate is read with its key', async t => {
  const { cert, key } = await readCertificate(RIGHT)
  t.strictSame([cert, key], [readFileSync(RIGHT.cert), readFileSync(RIGHT.key)])
})

t.test('files that can not be read are named, both at once', async t => {
  const nothing = { cert: join(folder, 'nothing.crt'), key: folder }
  t.match(await wrongIn(t, nothing), [/^ENOENT.*nothing\.crt/, /^EISDIR/])
})

t.test('what is no certificate and what is no key is named', async t => {
  t.strictSame(await wrongIn(t, { cert: RIGHT.key, key: RIGHT.cert }), [
    `${RIGHT.key} has no certificate in PEM that can be read`,
    `${RIGHT.cert} has no private key in PEM without a passphrase`
  ])
  const locked = join(folder, 'locked.key')
  execFileSync('openssl', ['pkey', '-in', RIGHT.key, '-aes256', '-passout', 'pass:x', '-out', locked], {
    stdio: 'pipe'
  })
  t.strictSame(await wrongIn(t, { cert: RIGHT.cert, key: locked }), [
    `${locked} has no private key in PEM without a passphrase`
  ])
})

t.test("another certificate's key is refused", async t => {
  t.strictSame(await wrongIn(t, { cert: RIGHT.cert, key: OTHER.key }), [
    `${OTHER.key} is not the key of the certificate in ${RIGHT.cert}`
  ])
})

t.test('a pair that TLS does not take is refused', async t => {
  const chain = join(folder, 'chain.crt')
  writeFileSync(
    chain,
    `${readFileSync(RIGHT.cert, 'utf8')}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`
  )
  t.strictSame(await wrongIn(t, { cert: chain, key: RIGHT.key }), [`${chain} with ${RIGHT.key} can not serve TLS`])
})
