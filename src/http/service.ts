import { Type } from 'typebox'
import type { Engine } from '../engine.ts'
import type { App } from './app-type.ts'
import { refusals } from './problem-schema.ts'
import { PROBLEMS, type ProblemCode, sendProblem } from './problems.ts'

const tags = ['service']

/** Routes about the service itself. */
export function registerService(app: App, engine: Engine, state: { readonly stopping: boolean }): void {
  app.route({
    method: 'GET',
    url: '/livez',
    config: { whileDraining: true },
    schema: {
      operationId: 'livez',
      summary: 'Whether the process lives',
      tags,
      response: { 200: Type.Object({ status: Type.Literal('ok') }), ...refusals() }
    },
    handler: async () => ({ status: 'ok' as const })
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    config: { whileDraining: true },
    schema: {
      operationId: 'readyz',
      summary: 'Whether the service can take requests',
      tags,
      response: { 200: Type.Object({ status: Type.Literal('ok') }), ...refusals('not-ready') }
    },
    handler: async (_request, reply) => {
      if (state.stopping) return sendProblem(reply, 'draining', 'The server is stopping.', { reasons: ['draining'] })
      const reasons = engine.readiness()
      if (reasons.length > 0) return sendProblem(reply, 'not-ready', `Not ready: ${reasons.join('; ')}.`, { reasons })
      return { status: 'ok' as const }
    }
  })

  app.route({
    method: 'GET',
    url: '/problems/:code',
    schema: {
      operationId: 'explainProblem',
      summary: 'Explain the code of a problem',
      tags,
      params: Type.Object({ code: Type.String({ examples: ['no-free-key'] }) }),
      response: {
        200: Type.Object({
          code: Type.String(),
          status: Type.Integer(),
          title: Type.String(),
          about: Type.String({ description: 'What it means, and what to do.' })
        }),
        ...refusals('not-found')
      }
    },
    handler: async (request, reply) => {
      const { code } = request.params
      if (!Object.hasOwn(PROBLEMS, code)) return sendProblem(reply, 'not-found', 'There is no problem of this code.')
      return { code, ...PROBLEMS[code as ProblemCode] }
    }
  })
}
