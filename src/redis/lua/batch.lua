-- batch: operations in order, each with the answer that its own verb would have had.
-- ARGV 3 scope of a retry, 4 its fingerprint, 5 … the operations, each a JSON list of the name of the verb and its
--   arguments
-- Answers done with the answers; behind; idempotency-key-reused; unknown-pool. O(operations * log n).
local function answerOf(operation, reserved)
  local verb = table.remove(operation, 1)
  for i = 1, #operation do operation[i] = operation[i] ~= '' and operation[i] end
  return verbs[verb](operation, true, reserved)
end

-- What is kept of an answer: no secret, and a lease or a key only by its name.
local function kept(answer)
  local view = answer[4]
  if not view then return answer end
  return { answer[1], view[1], answer[1] ~= 'living' and answer[1] ~= 'activated' and view[FENCE + 1] }
end

-- A kept answer as it is now: with a lease or a key only if that lives.
local function replayed(answer)
  if #answer ~= 3 or type(answer[2]) ~= 'string' then return answer end
  local status, id, fence = unpack(answer)
  local record = fence and findLease(id, fence) or not fence and find(id)
  return record and shown(status, id, record, status == 'granted') or { 'ended' }
end

function verbs.batch(a)
  local scope, fingerprint = a[1], a[2]
  if scope then
    local known, answers = recall(scope)
    if known and known ~= fingerprint then return { 'idempotency-key-reused' } end
    if known then
      for i, answer in ipairs(answers) do answers[i] = replayed(answer) end
      return { 'done', answers }
    end
  end
  if isDue() then return { 'behind' } end
  -- What is free now is for those who wait; what the batch itself frees is its own.
  local reserved = min(count(FREE), call('ZCARD', LINE))
  local answers = {}
  -- All are read before the first is done: nothing is done of what can't be read.
  for i = 3, #a do a[i] = cjson.decode(a[i]) end
  for i = 3, #a do answers[i - 2] = answerOf(a[i], reserved) end
  if scope then
    local memory = {}
    for i, answer in ipairs(answers) do memory[i] = kept(answer) end
    keep(scope, fingerprint, #answers, memory)
  end
  return { 'done', answers }
end
