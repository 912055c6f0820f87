-- What is noted of a pause, or of its end: one that has its own end by now is over since then.
local function pauseUntil(noted, now)
  local untilText = noted and match(noted, '"until":(%d+)')
  if untilText and tonumber(untilText) <= now then return RESUMED_MARK .. untilText end
  return noted
end

-- What is to be noted of a job's pause when its code says whether it is paused. A pause by code ends where the code has
-- it no more, and begins anew where it comes back. What an operator has said stays.
local function pauseByCode(noted, isPausedInitially, now)
  if isPausedInitially then
    if not noted or sub(noted, -1) == BY_CODE_MARK then return PAUSED_BY_CODE end
  elseif noted == PAUSED_BY_CODE then
    return RESUMED_MARK .. format('%.0f', now) .. BY_CODE_MARK
  end
  return pauseUntil(noted, now)
end
