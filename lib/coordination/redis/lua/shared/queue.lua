-- What waits for a slot of a job: `queue:<job>`, a sorted set in the order of its coming. Its members are
--
--   t tick cancelled by      a tick, of which there is one at most, with the run that it is to replace, or NOBODY, and the
--                            request that has claimed it
--   r id key hasData         a request for a run by hand, with its concurrency key or NOBODY, and 1 or 0
--
-- What a request brings stands in `requests:<job>` until its run has ended. `waiting` has the jobs for which something
-- waits, and `waits` is there while there are any: so that who ends runs need not ask.

local function queueKey(jobId)
  return base .. KEY_QUEUE .. jobId
end

local function requestsKey(jobId)
  return base .. KEY_REQUESTS .. jobId
end

-- What waits is written last: what cannot be written as a whole does not wait.
local function enqueue(jobId, order, member)
  redis.call('ZADD', base .. KEY_WAITING, order, jobId)
  redis.call('PEXPIRE', base .. KEY_WAITING, KEEP_WAITING)
  redis.call('SET', base .. KEY_WAITS, '1', 'PX', KEEP_WAITING)
  redis.call('ZADD', queueKey(jobId), order, member)
  redis.call('PEXPIRE', queueKey(jobId), KEEP_WAITING)
end

local function dequeue(jobId, member)
  if member then redis.call('ZREM', queueKey(jobId), member) end
  if redis.call('EXISTS', queueKey(jobId)) == 1 then return end
  redis.call('ZREM', base .. KEY_WAITING, jobId)
  if redis.call('EXISTS', base .. KEY_WAITING) == 0 then redis.call('DEL', base .. KEY_WAITS) end
end

-- The tick that waits, with the run that it is to replace, its place, and whose claim it is; nil for none.
local function waitingTick(jobId)
  local members = redis.call('ZRANGE', queueKey(jobId), 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do
    local tick, cancelled, by = match(members[i], '^t (%-?%d+) (%S+) (%S+)$')
    if tick then return members[i], tick, cancelled, members[i + 1], by end
  end
end

-- The tick of a claim waits no more, as the claim is taken back or made anew. Whether it did.
local function dequeueTickOf(jobId, runId)
  local member, _, _, _, by = waitingTick(jobId)
  if by ~= runId then return false end
  dequeue(jobId, member)
  return true
end

-- A run that was waited for begins no more: what it was for waits again, in its place. False for a tick in whose place a
-- later one waits by now.
local function enqueueAgain(jobId, runTick, word)
  local id = match(word, ';Q=([^;]+)')
  if id then
    local key = match(word, ';K=([^;]+)') or NOBODY
    enqueue(jobId, runTick * 1000, 'r ' .. id .. ' ' .. key .. ' 1')
  elseif waitingTick(jobId) then
    return false
  else
    enqueue(jobId, runTick * 1000, 't ' .. runTick .. ' ' .. NOBODY .. ' ' .. NOBODY)
  end
  return true
end
