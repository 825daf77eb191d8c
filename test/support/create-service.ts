import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { type AppOptions, buildApp } from '../../src/app.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { ManualClock } from './manual-clock.ts'

export const POOL = '/v1/pools/default'

/** An answer as a client sees it. */
export interface Answer {
  status: number
  headers: Record<string, string | undefined>
  /** The media type without its parameters. */
  type: string
  text: string
  /** The JSON of the body, undefined without one. Each test says of it what it expects. */
  body: any
}

/**
 * The whole service over an engine whose time is the test's own, without dialects. A call throws where its status is
 * not one that the route documents, unless the test says that the engine is a false one.
 */
export async function createService(t: Test, options: Partial<AppOptions> = {}, { falseEngine = false } = {}) {
  const clock = new ManualClock()
  const engine = new MemoryEngine({ clock, onFault: error => t.error(error) })
  const service = await buildApp({ engine, dialects: [], ...options })
  await service.prepare()
  const { app } = service
  t.teardown(async () => {
    service.drain()
    app.server.closeAllConnections()
    await app.close()
    engine.close()
  })
  const undocumented: string[] = []
  app.addHook('onResponse', async ({ routeOptions: { method, url, schema } }, { statusCode }) => {
    const responses = schema?.response as object | undefined
    if (responses && !(statusCode in responses) && !falseEngine)
      undocumented.push(`${method} ${url} answered ${statusCode}`)
  })

  /** Calls without a socket. Paths that do not begin with a slash are those of the pool `default`. */
  async function call(
    method: string,
    path: string,
    body?: string | Buffer | object | null,
    headers: Record<string, string | string[]> = {}
  ): Promise<Answer> {
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
    const response = await app.inject({
      method: method as 'GET',
      url: path.startsWith('/') ? path : `${POOL}/${path}`,
      headers: body === undefined || isRaw ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { payload: isRaw ? body : JSON.stringify(body) })
    })
    const undocumentedAnswer = undocumented.pop()
    if (undocumentedAnswer !== undefined) throw new Error(undocumentedAnswer)
    return toAnswer(response.statusCode, response.headers as Answer['headers'], response.payload)
  }

  /** New keys of the pool `default`, with their secrets. */
  async function generate(count = 1): Promise<{ id: string; key: string }[]> {
    return (await call('POST', 'keys', { count })).body.keys
  }

  /** A lease of the pool `default`. */
  async function acquire(body: object = {}): Promise<Answer['body']> {
    const answer = await call('POST', 'leases', body)
    if (answer.status !== 201) throw new Error(answer.text)
    return answer.body
  }

  async function counts(pool = 'default'): Promise<Answer['body']> {
    return (await call('GET', `/v1/pools/${pool}`)).body.counts
  }

  /** Listens on a free port. */
  async function listen(): Promise<number> {
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server.address() as AddressInfo).port
  }

  return { app, service, engine, clock, call, generate, acquire, counts, listen }
}

export type ServiceOfTest = Awaited<ReturnType<typeof createService>>

function toAnswer(status: number, headers: Answer['headers'], text: string): Answer {
  const [type = ''] = (headers['content-type'] ?? '').split(';')
  return { status, headers, type, text, body: type.endsWith('json') && text !== '' ? JSON.parse(text) : undefined }
}

/** Calls over a socket; the answer is rejected where the connection ends before. */
export function send(
  port: number,
  method: string,
  path: string,
  { body, headers = {}, agent }: { body?: object; headers?: Record<string, string>; agent?: Agent } = {}
): { sent: ClientRequest; answer: Promise<Answer> } {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const sent = request({
    port,
    host: '127.0.0.1',
    method,
    path: path.startsWith('/') ? path : `${POOL}/${path}`,
    headers: { ...type, ...headers },
    ...(agent ? { agent } : {})
  })
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve(toAnswer(response.statusCode ?? 0, response.headers as Answer['headers'], text))
      })
    })
  })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  return { sent, answer }
}

/** Sends bytes as they are, and reads until the server closes the connection. Closed with the test. */
export async function exchange(t: Test, port: number, ...parts: (string | Buffer)[]): Promise<Answer[]> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  for (const part of parts) socket.write(part)
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', error => (chunks.length > 0 ? resolve() : reject(error)))
    socket.on('close', () => resolve())
  })
  return parseAnswers(Buffer.concat(chunks).toString('utf8'))
}

/** The answers in what came over a connection; each says how long its body is. */
export function parseAnswers(text: string): Answer[] {
  const answers: Answer[] = []
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) throw new Error(`no answer: ${rest.toString()}`)
    const [statusLine = '', ...lines] = rest.subarray(0, end).toString().split('\r\n')
    const headers: Answer['headers'] = {}
    for (const line of lines)
      headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim()
    const length = Number(headers['content-length'] ?? 0)
    const body = rest.subarray(end + 4, end + 4 + length).toString()
    answers.push(toAnswer(Number(statusLine.split(' ')[1]), headers, body))
    rest = rest.subarray(end + 4 + length)
  }
  return answers
}
