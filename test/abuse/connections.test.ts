import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import type { AuditEntry } from '../../src/access/audit-entry.ts'
import { createService } from '../support/create-service.ts'
import { othersAreServed, RudeClient, untilConnections } from '../support/abuse.ts'

t.setTimeout(600_000)

const WANTED = 10_000
/** What the process needs besides. */
const RESERVE = 200

/** How many files this process may have open; where the system does not say, a thousand connections are tried. */
function fileLimit(): number {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return Number(limit ?? 2000 + RESERVE)
  } catch {
    return 2000 + RESERVE
  }
}

t.test('who resets a connection is known by its address all the same', async t => {
  const { app, listen } = await createService(t)
  const port = await listen()
  const accepted = once(app.server, 'connection')
  const client = new RudeClient(t, port)
  const [connection] = (await accepted) as [Socket]
  connection.on('error', () => undefined).resume()
  const closed = new Promise(resolve => connection.once('close', resolve))
  client.socket.resetAndDestroy()
  await closed
  t.equal(connection.remoteAddress, '127.0.0.1')
})

t.test('a connection that was reset before anybody looked is a caller without an address', async t => {
  const told: AuditEntry[] = []
  const tell = (entry: AuditEntry) => void told.push(entry)
  const { app, call } = await createService(t, {
    rateLimit: 1000,
    trail: { write: tell, sumUp: tell, fault: undefined }
  })
  app.addHook('onRequest', async request => {
    Object.defineProperty(request, 'ip', { value: undefined })
  })
  t.match(await call('POST', 'leases'), { status: 404 })
  t.match(told, [{ remote: null, outcome: 'no-free-key' }])
})

t.test('idle connections cost others nothing', async t => {
  const { app, listen, generate } = await createService(t)
  const port = await listen()
  // However long it takes to open them all: each is idle, and would be given up after ten seconds without a request.
  app.server.headersTimeout = 0
  app.server.requestTimeout = 0
  await generate()
  // Each takes two files here, one at either end.
  const count = Math.min(WANTED, Math.floor((fileLimit() - RESERVE) / 2))
  t.comment(`${count} connections, of ${WANTED} wanted: ulimit -n is ${fileLimit()}`)
  const clients: RudeClient[] = []
  for (let i = 0; i < count; i++) {
    clients.push(new RudeClient(t, port))
    // The queue of those that are not let in yet is short.
    if (i % 100 === 99) await othersAreServed(t, port)
  }
  await othersAreServed(t, port)
  t.equal(clients.filter(({ closed }) => closed).length, 0)
  for (const { socket } of clients) socket.destroy()
  app.server.closeIdleConnections()
  await untilConnections(app, 0)
})
