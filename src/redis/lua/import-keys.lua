-- importKeys: keys from elsewhere enter, all or none.
-- ARGV 3 the shape's name, 4 scope of a retry, 5 its fingerprint, then for each key: id, key, place, metadata
-- Answers entered with the keys; key-exists or key-retired with the indexes; stale with the shape; pool-full; behind;
--   idempotency-key-reused; unknown-pool. O(keys * log n).
function verbs.importKeys(a)
  local scope, fingerprint = a[2], a[3]
  local before = scope and enteredBefore(scope, fingerprint)
  if before then return before end
  local outdated = stale(a[1])
  if outdated then return outdated end
  local keys, existing, retired = {}, {}, {}
  for i = 4, #a do keys[i - 3] = a[i] end
  for i = 1, #keys, 4 do
    if find(keys[i]) then
      existing[#existing + 1] = (i - 1) / 4
    elseif call('HEXISTS', RETIRED, keys[i]) == 1 then
      retired[#retired + 1] = (i - 1) / 4
    end
  end
  if #existing > 0 then return { 'key-exists', existing } end
  if #retired > 0 then return { 'key-retired', retired } end
  return isFullFor(#keys / 4) or enter(keys, scope, fingerprint)
end
