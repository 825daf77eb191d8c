import { Type } from 'typebox'
import type { Engine } from '../engine.ts'
import type { App } from './app-type.ts'
import { alwaysServed } from './overload.ts'
import { edgeRefusals } from './problem-schema.ts'
import { PROBLEMS, type ProblemCode, sendProblem } from './problems.ts'
import { answer } from './schema.ts'

const tags = ['service']
const healthy = answer(Type.Object({ status: Type.Literal('ok') }, { title: 'Health' }), 'Yes.', { status: 'ok' })
const ready = answer(
  Type.Object(
    {
      status: Type.Literal('ok'),
      warnings: Type.Optional(
        Type.Array(Type.String(), { description: 'What does not work, though the service does.' })
      )
    },
    { title: 'Readiness' }
  ),
  'Yes.',
  { status: 'ok' }
)

/** Routes about the service itself. */
export function registerService(
  app: App,
  engine: Engine,
  state: { readonly stopping: boolean },
  warnings: () => string[]
): void {
  app.route({
    method: 'GET',
    url: '/livez',
    config: alwaysServed,
    schema: {
      operationId: 'livez',
      summary: 'Whether the process lives',
      tags,
      response: { 200: healthy, ...edgeRefusals() }
    },
    handler: async () => ({ status: 'ok' as const })
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    config: alwaysServed,
    schema: {
      operationId: 'readyz',
      summary: 'Whether the service can take requests',
      tags,
      response: { 200: ready, ...edgeRefusals('not-ready') }
    },
    handler: async (_request, reply) => {
      if (state.stopping) return sendProblem(reply, 'draining', 'The server is stopping.', { reasons: ['draining'] })
      const reasons = engine.readiness()
      if (reasons.length > 0) return sendProblem(reply, 'not-ready', `Not ready: ${reasons.join('; ')}.`, { reasons })
      const told = warnings()
      return { status: 'ok' as const, ...(told.length > 0 ? { warnings: told } : {}) }
    }
  })

  app.route({
    method: 'GET',
    url: '/problems/:code',
    schema: {
      operationId: 'explainProblem',
      summary: 'Explain the code of a problem',
      tags,
      params: Type.Object({ code: Type.String({ description: 'The code of a problem.', examples: ['no-free-key'] }) }),
      response: {
        200: answer(
          Type.Object(
            {
              code: Type.String(),
              status: Type.Integer(),
              title: Type.String(),
              about: Type.String({ description: 'What it means, and what to do.' })
            },
            { title: 'ProblemKind' }
          ),
          'What the code means.',
          { code: 'no-free-key', ...PROBLEMS['no-free-key'] }
        ),
        ...edgeRefusals('not-found')
      }
    },
    handler: async (request, reply) => {
      const { code } = request.params
      if (!Object.hasOwn(PROBLEMS, code)) return sendProblem(reply, 'not-found', 'There is no problem of this code.')
      return { code, ...PROBLEMS[code as ProblemCode] }
    }
  })
}
