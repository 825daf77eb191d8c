import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Access, type AccessConfig } from '../../src/access/access.ts'
import type { Certificate } from '../../src/access/certificate.ts'
import { makeCertificate } from '../support/certificates.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { entryOf } from '../support/tokens.ts'

async function openAccess(t: Test, config: AccessConfig) {
  const told: string[] = []
  const clock = new ManualClock()
  const tell = (_members: object, text: string) => void told.push(text)
  const log = { info: tell, warn: tell, error: tell }
  const access = await Access.open(config, clock, log)
  t.teardown(() => access.close())
  const served: Certificate[] = []
  return { access, told, clock, served, reload: () => access.reload(certificate => served.push(certificate)) }
}

function makeFiles(t: Test) {
  const folder = t.testdir({ 'tokens.json': JSON.stringify([entryOf('t', 'ci')]) })
  return {
    authFile: join(folder, 'tokens.json'),
    audit: join(folder, 'audit.log'),
    tls: makeCertificate(folder, 'one')
  }
}

t.test('without files there is nothing to guard, and nothing to read again', async t => {
  const { access, told, clock, served, reload } = await openAccess(t, {})
  t.strictSame([access.tokens, access.trail, access.certificate], [undefined, undefined, undefined])
  await reload()
  t.strictSame([told, served, clock.timers], [[], [], 0])
})

t.test('all files are opened, and read again together', async t => {
  const files = makeFiles(t)
  const { access, told, served, reload } = await openAccess(t, files)
  t.match(access.tokens?.bearerOf('t'), { name: 'ci' })
  t.strictSame(access.certificate?.cert, readFileSync(files.tls.cert))
  writeFileSync(files.authFile, '[]')
  renameSync(files.audit, `${files.audit}.1`)
  const other = makeCertificate(t.testdirName, 'two')
  copyFileSync(other.cert, files.tls.cert)
  copyFileSync(other.key, files.tls.key)
  await reload()
  t.ok(existsSync(files.audit))
  t.strictSame(
    served.map(({ cert }) => cert),
    [readFileSync(other.cert)]
  )
  t.match(told, [/^the tokens were read again: 0 are in force$/, /^the certificate was read again/])
})

t.test('what is wrong with new versions is told, and changes nothing', async t => {
  const files = makeFiles(t)
  const { access, told, served, reload } = await openAccess(t, files)
  writeFileSync(files.authFile, '{')
  execFileSync('cp', [files.tls.cert, files.tls.key])
  await reload()
  t.match(access.tokens?.bearerOf('t'), { name: 'ci' })
  t.strictSame(served, [])
  t.match(told, [
    `the tokens stay as they are, for the new version of ${files.authFile} is wrong:\n  is not JSON`,
    `the certificate stays as it is, for the new one is wrong:\n  ${files.tls.key} has no private key`
  ])
})

t.test('the start is refused with all that is wrong at once', async t => {
  const { authFile, audit, tls } = makeFiles(t)
  writeFileSync(authFile, '[1, 2]')
  const wrong = { authFile, audit: join(audit, 'x'), tls: { cert: tls.key, key: tls.key } }
  const error = await openAccess(t, wrong).catch((error: unknown) => error)
  t.strictSame((error as Error).message.split('\n').slice(0, 3), [
    `KEYPOOL_AUTH_FILE (${authFile}):`,
    '  [0] must be an object',
    '  [1] must be an object'
  ])
  t.match(
    (error as Error).message,
    /KEYPOOL_AUDIT \(.*\n {2}ENO.*\nKEYPOOL_TLS_CERT, KEYPOOL_TLS_KEY:\n {2}.*has no cert/
  )
})

t.test('what was opened is closed again where another is wrong', async t => {
  const files = makeFiles(t)
  const clock = new ManualClock()
  const nothing = () => undefined
  const log = { info: nothing, warn: nothing, error: nothing }
  await t.rejects(Access.open({ ...files, tls: { cert: files.authFile, key: files.tls.key } }, clock, log))
  t.equal(clock.timers, 0)
})

t.test('a fault of the audit trail is told', { skip: !existsSync('/dev/full') && 'no full disk here' }, async t => {
  const { access, told } = await openAccess(t, { audit: '/dev/full' })
  access.trail?.write({
    token: null,
    remote: null,
    verb: 'putPool',
    pool: null,
    id: null,
    fence: null,
    outcome: 'ok',
    requestId: 'r-1'
  })
  await access.close()
  t.match(told, [/^the audit trail can not be written: ENOSPC/])
})
