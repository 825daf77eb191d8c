import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Pipelines } from '../../src/http/pipelines.ts'

/** A server that is nothing but pipelines, and a connection to it. */
async function createPipeline(t: Test, listener: RequestListener) {
  const server = createServer(listener)
  t.teardown(() => server.close())
  const pipelines = new Pipelines()
  pipelines.attach(server)
  const answered: string[] = []
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    pipelines.breakOff(socket, () => answered.push(String(error.code)))
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => client.destroy())
  client.on('error', () => undefined)
  return { client, answered, closed: once(client, 'close') }
}

t.test('where an answer has begun to a request without an end, what is no HTTP ends the connection', async t => {
  const { client, answered, closed } = await createPipeline(t, (_request, response) => void response.write('begun'))
  client.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  await once(client, 'data')
  client.resume().write('zz\r\n')
  await closed
  t.strictSame(answered, [], 'nothing stands within the answer that had begun')
})

t.test('what waits in a pipeline whose connection has ended is not served', async t => {
  const served: unknown[] = []
  const { client, closed } = await createPipeline(t, (request, response) => {
    served.push(request.url)
    // The next one is told of its turn by now, and has not been served.
    response.on('finish', () => request.socket.destroy())
    response.end()
  })
  client.resume().write(['/a', '/b'].map(path => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  await closed
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(served, ['/a'])
})
