-- generate: keys that were drawn at random enter, all or none.
-- ARGV 3 the shape's name, 4 count, 5 scope of a retry, 6 its fingerprint, then for each key: id, key, place, metadata
-- Answers entered with the keys; again, where one is used by now, or fewer were drawn than are asked for; stale with
--   the shape; keyspace-exhausted with how many remain; pool-full; behind; idempotency-key-reused; unknown-pool.
-- O(keys * log n).
function verbs.generate(a)
  local number, scope, fingerprint = tonumber(a[2]), a[3], a[4]
  local before = scope and enteredBefore(scope, fingerprint)
  if before then return before end
  local outdated = stale(a[1])
  if outdated then return outdated end
  local size, used = space()
  if size and size - used < number then return { 'keyspace-exhausted', size - used } end
  local full = isFullFor(number)
  if full then return full end
  local keys = {}
  for i = 5, #a do keys[i - 4] = a[i] end
  if #keys < 4 * number then return { 'again' } end
  for i = 1, #keys, 4 do
    local isUsed
    if size then
      isUsed = not isUnused(tonumber(keys[i + 2]), size - used)
    else
      isUsed = call('HEXISTS', KEYS_, keys[i]) == 1 or call('HEXISTS', RETIRED, keys[i]) == 1
    end
    if isUsed then return { 'again' } end
  end
  return enter(keys, scope, fingerprint)
end
