import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { makeCertificate } from './support/certificates.ts'
import { ServerProcess } from './support/server-process.ts'
import { entryOf } from './support/tokens.ts'

const FREE_PORT = { KEYPOOL_PORT: '0' }
const TOKEN = 'Q9xTokenOfTheOperator'

// Most of a test is the start of a process, or waiting for its end.
t.jobs = 2
t.setTimeout(600_000)

/** A folder with tokens and a certificate, and the variables that name them. */
function makeFolder(t: Test) {
  const folder = t.testdir({ 'tokens.json': JSON.stringify([entryOf(TOKEN, 'ops', 'admin')]) })
  const { cert, key } = makeCertificate(folder, 'one')
  const at = (name: string) => join(folder, name)
  const environment = {
    ...FREE_PORT,
    KEYPOOL_AUTH_FILE: at('tokens.json'),
    KEYPOOL_AUDIT: at('audit.log'),
    KEYPOOL_TLS_CERT: cert,
    KEYPOOL_TLS_KEY: key
  }
  return { folder, at, cert, key, environment }
}

/** A connection to the server, and whose certificate it showed. */
async function openTls(t: Test, port: number): Promise<{ socket: TLSSocket; name: unknown }> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return { socket, name: socket.getPeerCertificate().subject.CN }
}

async function ask(port: number, ca: string, method: string, path: string): Promise<number> {
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    ca: readFileSync(ca),
    agent: false,
    headers: { authorization: `Bearer ${TOKEN}` }
  })
  sent.end()
  const [answer] = await once(sent, 'response')
  answer.resume()
  await once(answer, 'end')
  return answer.statusCode
}

t.test('with tokens, a certificate and an audit trail, all are read again on SIGHUP', async t => {
  const { at, cert, key, environment } = makeFolder(t)
  const server = new ServerProcess(t, environment)
  const { port, docs, msg } = await server.listening()
  t.match(docs, /^https:\/\/127\.0\.0\.1:\d+\/docs$/)
  t.match(msg, /^keypool listens on https:/)
  t.equal(await ask(port, cert, 'POST', '/v1/pools/default/keys'), 201)
  const early = await openTls(t, port)
  t.equal(early.name, 'one')

  renameSync(at('audit.log'), at('audit.log.1'))
  const two = makeCertificate(t.testdirName, 'two')
  copyFileSync(cert, at('one.old'))
  copyFileSync(two.cert, cert)
  copyFileSync(two.key, key)
  server.signal('SIGHUP')
  await server.line('the certificate was read again')
  t.equal((await openTls(t, port)).name, 'two')
  t.equal(await ask(port, two.cert, 'DELETE', '/v1/pools/nothing'), 404)
  early.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  t.match(String((await once(early.socket, 'data'))[0]), /^HTTP\/1\.1 200/, 'an open connection goes on')

  copyFileSync(at('one.old'), cert)
  server.signal('SIGHUP')
  t.match(await server.line('the certificate stays as it is'), /is not the key of the certificate in/)
  t.equal((await openTls(t, port)).name, 'two')

  writeFileSync(at('tokens.json'), '[]')
  await server.line('the tokens were read again: 0 are in force')
  t.equal(await ask(port, two.cert, 'GET', '/v1/pools'), 401)

  const { code, lines, ms } = await server.stop('SIGTERM')
  t.equal(code, 0)
  t.ok(ms < 7000, `not held up by a connection on which nothing was asked: ${ms} ms`)
  const told = (name: string) =>
    readFileSync(at(name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line))
  t.match(told('audit.log.1'), [{ token: 'ops', verb: 'generateOrImportKeys', outcome: 'ok' }])
  t.match(told('audit.log'), [{ token: 'ops', verb: 'deletePool', outcome: 'unknown-pool' }])
  t.notMatch(lines.join('\n'), TOKEN)
})

t.test('files that are wrong end the start with exit code 1 and name each', async t => {
  const { environment, cert, at } = makeFolder(t)
  writeFileSync(at('tokens.json'), JSON.stringify([{ ...entryOf(TOKEN, 'ops'), role: 'root' }]))
  const { code, lines, errors } = await new ServerProcess(t, { ...environment, KEYPOOL_TLS_KEY: cert }).ended
  t.equal(code, 1)
  t.strictSame(lines, [])
  t.match(errors, /^keypool does not start: KEYPOOL_AUTH_FILE .*\n {2}\[0\] "ops" role must be one of/)
  t.match(errors, /KEYPOOL_TLS_KEY:\n {2}.*one\.crt has no private key/)
})

t.test('the trail may go where the log goes, line by line', async t => {
  const server = new ServerProcess(t, { ...FREE_PORT, KEYPOOL_AUDIT: '-' })
  const { port } = await server.listening()
  await fetch(`http://127.0.0.1:${port}/v1/pools/default/keys`, { method: 'POST' })
  t.match(JSON.parse(await server.line('"verb"')), { token: null, verb: 'generateOrImportKeys', outcome: 'ok' })
  t.match(await server.stop('SIGINT'), { code: 0, lines: { length: 3 } })
})

t.test('without tokens, on loopback, other names than its own are refused', async t => {
  const server = new ServerProcess(t, FREE_PORT)
  const { port } = await server.listening()
  const status = async (host: string) => {
    const sent = requestPlain({ host: '127.0.0.1', port, path: '/livez', agent: false, headers: { host } }).end()
    const [answer] = await once(sent, 'response')
    answer.resume()
    return answer.statusCode
  }
  t.equal(await status(`localhost:${port}`), 200)
  t.equal(await status('example.org'), 403)
})
