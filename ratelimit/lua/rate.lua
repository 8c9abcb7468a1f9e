-- Part: a sender's rate, as even traffic (GCRA without a burst), and how fast
-- one customer may hear from one sender (GCRA with a burst). Of each, one number
-- is kept: when the next message would be due at an even pace.

-- Returns when to send, nil for not now, and what to keep. A number kept further
-- ahead than this rule could book comes from a slower rate or a clock set back,
-- and is cut.
local function book(kept, interval)
  local at = math.max(now, math.min(kept, now + HORIZON + interval))
  if at - now > HORIZON then
    return nil, at
  end
  return math.ceil(at), at + interval
end

-- Books a message to a customer who is to get it at a time. Returns nil, or
-- when the customer may get the next one; then nothing is booked.
--
-- A message that counts keeps its time in the sender's window, as the customer's
-- last there, so that a number of its own is kept only for customers who hear more
-- than that. It expires once it means nothing. A last time ahead of what can be booked
-- comes from a clock that was set back, and tells nothing.
local function pace(pair, at, last, counts)
  if PAIR_SPACING <= 0 then
    return nil
  end
  local kept, told = tonumber(call('GET', pair) or '0'), counts
  if last and last <= now + HORIZON then
    kept = math.max(kept, last + PAIR_SPACING)
  elseif last then
    told = false -- nor will the place that is written above it
  end
  local ahead = (PAIR_BURST - 1) * PAIR_SPACING
  local due = math.min(kept, now + HORIZON + ahead + PAIR_SPACING)
  local turn = due - ahead > at and due - ahead or nil
  if not turn then
    if told and due <= at then
      return nil
    end
    due = math.max(due, at) + PAIR_SPACING
  elseif due == kept then
    return turn
  end
  call('SET', pair, us(due), 'PX', us(math.ceil((due - now) / 1000)))
  return turn
end
