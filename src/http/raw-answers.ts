import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { endGently } from './farewell.ts'
import type { Pipelines } from './pipelines.ts'
import { type ProblemCode, PROBLEM_TYPE, PROBLEMS, problem } from './problems.ts'

/** Problems with requests that never become one for Fastify, by the code of Node's error. */
const CLIENT_ERRORS: Record<string, [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The headers have more than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.']
}

/** Answers what is no HTTP, too large or too slow; Node itself would answer without a body. */
export function answerClientErrors(
  nextId: () => string,
  pipelines: Pipelines
): (this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket) => void {
  return function (error, socket) {
    this.log.debug({ code: error.code }, 'a connection met an error')
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const [code, detail] = CLIENT_ERRORS[String(error.code)] ?? ['invalid-request', 'This is not HTTP.']
    const members = code === 'invalid-request' ? { errors: [] } : {}
    pipelines.breakOff(socket, () => endWithProblem(socket, nextId(), code, detail, members))
  }
}

/** Writes a whole answer to a connection that has none of Node's. */
function endWithProblem(connection: Duplex, id: string, code: ProblemCode, detail: string, members = {}): void {
  // The answer before may have been the last.
  if (!connection.writable) return
  const body = JSON.stringify(problem(code, id, detail, members))
  const { status, title } = PROBLEMS[code]
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    `X-Request-Id: ${id}`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: close'
  ]
  endGently(connection, `${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Node answers an unknown Expect without a body, and CONNECT not at all, unless somebody listens. */
export function answerUnheard(
  server: Server,
  nextId: (request: IncomingMessage) => string,
  pipelines: Pipelines
): void {
  server.on('connect', (request: IncomingMessage, connection: Duplex) => {
    pipelines.breakOff(request.socket, () =>
      endWithProblem(connection, nextId(request), 'not-found', 'This is no proxy.')
    )
  })
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const id = nextId(request)
    const body = JSON.stringify(problem('expectation-failed', id, 'The only expectation known is 100-continue.'))
    response.writeHead(PROBLEMS['expectation-failed'].status, {
      'content-type': PROBLEM_TYPE,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-request-id': id,
      connection: 'close'
    })
    response.end(body)
  })
}
