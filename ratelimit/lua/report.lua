-- Part: how the state is told.

-- When the oldest counted place comes back; nil if there is none.
local function first_back(window)
  local place = call('ZRANGEBYSCORE', window, '(' .. us(cutoff), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return place[2] and tonumber(place[2]) + SPAN
end

local function text(time)
  return time and us(time) or ''
end

local function yes(truth)
  return truth and '1' or ''
end
