-- Whether a run that goes on is for a request: it has taken over another one.
local function isTakenOver(jobId, runId, request)
  local record = redis.pcall('GET', base .. KEY_CLAIM .. jobId)
  local runs = redis.call('HGETALL', runsKey(jobId))
  local ongoing = type(record) == 'string' and select(4, readOngoing(record))
  if ongoing then
    runs[#runs + 1] = '1'
    runs[#runs + 1] = ongoing
  end
  for i = 2, #runs, 2 do
    local grant = runs[i]
    if runIdOf(grant) ~= runId and match(grant, ';Q=([^;%s]+)') == request then return true end
  end
  return false
end

-- Takes runs, the keys of a table, out of those that are open, when their records do not say any more how they stand
-- there. What the requests that they were for have brought is of no use any more, unless they were taken over. Those that
-- have `notBegun` there are none of the runs that are counted. Those that were open.
local notBegun = 'unbegun'

local function closeStrays(strays)
  local found = {}
  if not next(strays) then return found end
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local runId, jobId, word = readMember(member)
    if strays[runId] then
      found[runId] = true
      redis.call('ZREM', openKey, member)
      local record = strays[runId] == notBegun and redis.pcall('GET', base .. KEY_CLAIM .. jobId)
      if type(record) == 'string' and find(record, ';c=', 1, true) then
        redis.call('SET', base .. KEY_CLAIM .. jobId, withoutRun(record), 'KEEPTTL')
      end
      local request = match(word, ';Q=([^;]+)')
      if request and not isTakenOver(jobId, runId, request) then
        redis.call('HDEL', base .. KEY_REQUESTS .. jobId, request)
      end
    end
  end
  return found
end
