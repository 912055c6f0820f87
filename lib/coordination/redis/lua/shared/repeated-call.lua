-- The reply that a call had when it was made before, under its id; nil when it was not, or another call came after it.
local function replyBefore(key, callId)
  local last = redis.pcall('GET', key)
  if type(last) ~= 'string' or sub(last, 1, #callId + 1) ~= callId .. ' ' then return nil end
  return sub(last, #callId + 2)
end

local function rememberReply(key, callId, reply)
  redis.call('SET', key, callId .. ' ' .. reply, 'PX', KEEP_REPLY)
end
