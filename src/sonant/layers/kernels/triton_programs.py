"""Triton kernels of attention, grouped convolution and norms.

Imported where a kernel is launched, as Triton is optional; `triton_attention`, `triton_convolution` and `triton_norm`
launch them and describe what they compute.

A program of attention processes `BLOCK` rows of one clip and head, in steps of `STEP` rows of the other operand. Its
entry of the block table (int32, three numbers) holds the first row of the clip, the length of the clip, and the first
of the `ENTRY` rows of the entry within the clip. Rows (queries) and columns (keys) are counted within the clip. With
`PEELED`, steps wholly within the clip run in a loop without masks. Logits are to base 2; sums, maxima and gradients
are float32 until they are stored.

Source: FlashAttention-2 (arXiv 2307.08691), algorithms 1 and 2.
"""

import triton
import triton.language as tl

# Arguments that change between batches and must not be specialized: Triton recompiles for 1 and multiples of 16.
COUNTS = ["total", "left", "num_positions", "threshold"]

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _block(blocks, number, ENTRY: tl.constexpr, BLOCK: tl.constexpr):
    """Return the first row and the length of the clip of block `number`, and the first row of the block in the clip."""
    entry = blocks + number // (ENTRY // BLOCK) * 3
    return tl.load(entry).to(tl.int64), tl.load(entry + 1), tl.load(entry + 2) + number % (ENTRY // BLOCK) * BLOCK


@triton.jit
def _read(pointer, stride, rows, length, DIM: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr = False):
    """Load (rows, WIDTH) of a clip and head; zeros outside the clip and beyond the `DIM` channels of the head.

    `WHOLE`: all rows are inside the clip, here and below.
    """
    channels = tl.arange(0, WIDTH)
    at = pointer + rows[:, None] * stride + channels[None, :]
    if WHOLE and DIM == WIDTH:
        return tl.load(at)
    inside = (channels < DIM)[None, :]
    if not WHOLE:
        inside = ((rows >= 0) & (rows < length))[:, None] & inside
    return tl.load(at, mask=inside, other=0.0)


@triton.jit
def _read_line(pointer, rows, length, other: tl.constexpr, WHOLE: tl.constexpr):
    """Load (rows,), with `other` outside the clip."""
    if WHOLE:
        return tl.load(pointer + rows)
    else:
        return tl.load(pointer + rows, mask=rows < length, other=other)


@triton.jit
def _write(pointer, stride, rows, length, values, DIM: tl.constexpr, WIDTH: tl.constexpr):
    """Store values (rows, WIDTH) where `_read` loads."""
    channels = tl.arange(0, WIDTH)
    inside = (rows < length)[:, None] & (channels < DIM)[None, :]
    at = pointer + rows[:, None] * stride + channels[None, :]
    tl.store(at, values.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def _gates(gate, start, rows, length, head, heads, BIAS: tl.constexpr, WHOLE: tl.constexpr = False):
    """Return the gate of each row for this head, or one."""
    if BIAS == "gated":
        at = gate + (start + rows) * heads + head
        if WHOLE:
            return tl.load(at).to(tl.float32)
        else:
            return tl.load(at, mask=rows < length, other=0.0).to(tl.float32)
    else:
        return tl.full(rows.shape, 1.0, tl.float32)


@triton.jit
def _positions_of(positions, start, head, heads, num_positions, BIAS: tl.constexpr):
    """Return a pointer to the table of the head, or to the scores of the clip and head."""
    if BIAS == "gated":
        positions += head * num_positions
    elif BIAS == "keys":
        positions += (start * heads + head) * num_positions
    return positions


@triton.jit
def _drawn_from(seed, head, DROPOUT: tl.constexpr):
    """Return the dropout seed of this head."""
    if DROPOUT:
        return _mixed(tl.load(seed).to(tl.uint32) + head.to(tl.uint32))
    else:
        return 0


@triton.jit
def _tile(
    positions, rows, columns, length, heads, left, num_positions, BIAS: tl.constexpr, WHOLE: tl.constexpr = False
):  # fmt: skip
    """Load the position bias of queries `rows` and keys `columns` (2-D, in either orientation), float32.

    A table reaches `ENTRY` frames beyond each clip, and distances of scores are clamped: keys outside the clip can be
    read too, queries outside it only where the bias is a table.
    """
    if BIAS == "gated":
        return tl.load(positions + (columns - rows + num_positions // 2)).to(tl.float32)
    place = tl.minimum(tl.maximum(columns - rows + left, 0), num_positions - 1)
    at = positions + (rows * heads * num_positions + place)
    if WHOLE:
        return tl.load(at).to(tl.float32)
    return tl.load(at, mask=rows < length, other=0.0).to(tl.float32)


@triton.jit
def _product(a, b, PRECISION: tl.constexpr):
    """Return a @ b.T in float32."""
    return tl.dot(a, tl.trans(b), input_precision=PRECISION)


@triton.jit
def _mixed(x):
    """A hash of each 32-bit number. Source: C. Wellons, hash-prospector, the function `lowbias32`."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def _dropped(values, drawn_from, rows, columns, threshold, kept_scale, DROPOUT: tl.constexpr):
    """Apply dropout; the mask is a function of position and seed, so that every kernel draws the same one.

    A hash of the position instead of Philox, which takes ten times as many operations, more than the attention.
    """
    if DROPOUT:
        line = _mixed(drawn_from + rows.to(tl.uint32))
        drawn = (_mixed(line + columns.to(tl.uint32) * 0x9E3779B1) >> 1).to(tl.int32)
        values = tl.where(drawn >= threshold, values * kept_scale, 0.0)
    return values


@triton.jit
def _forward_step(
    q, key, value, gates, positions, drawn_from, rows, column, start, length, top, sums, mixed,
    stride_row, heads, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    STEP: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Add one step of keys and values, from `column` on, to a block of queries."""
    columns = column + tl.arange(0, STEP)
    k = _read(key, stride_row, columns, length, DIM, WIDTH, WHOLE)
    logits = _product(q, k, PRECISION) * (scale * LOG2_E)
    if BIAS != "none":
        logits += gates * _tile(positions, rows[:, None], columns[None, :], length, heads, left, num_positions, BIAS)
    if not WHOLE:
        logits = tl.where((columns < length)[None, :], logits, float("-inf"))
    new_top = tl.maximum(top, tl.max(logits, 1))
    weights = tl.exp2(logits - new_top[:, None])
    shrink = tl.exp2(top - new_top)
    sums = sums * shrink + tl.sum(weights, 1)
    weights = _dropped(weights, drawn_from, (start + rows)[:, None], columns[None, :], threshold, kept_scale, DROPOUT)
    v = _read(value, stride_row, columns, length, DIM, WIDTH, WHOLE)
    mixed = mixed * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
    return new_top, sums, mixed


@triton.jit(do_not_specialize=COUNTS)
def forward(
    query, key, value, gate, positions, blocks, seed, out, log_sums,
    stride_row, stride_head, total, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr, PEELED: tl.constexpr,
):  # fmt: skip
    """Compute `out` of a block of queries, and the log-sum-exp (to base 2) of their logits."""
    start, length, first = _block(blocks, tl.program_id(0), ENTRY, BLOCK)
    if first >= length:
        return
    head, heads = tl.program_id(1), tl.num_programs(1)
    at = start * stride_row + head * stride_head
    rows = first + tl.arange(0, BLOCK)
    gates = _gates(gate, start, rows, length, head, heads, BIAS)[:, None] * LOG2_E
    positions = _positions_of(positions, start, head, heads, num_positions, BIAS)
    drawn_from = _drawn_from(seed, head, DROPOUT)
    q = _read(query + at, stride_row, rows, length, DIM, WIDTH)
    top = tl.full([BLOCK], float("-inf"), tl.float32)
    sums = tl.zeros([BLOCK], tl.float32)
    mixed = tl.zeros([BLOCK, WIDTH], tl.float32)
    whole = length // STEP * STEP if PEELED else 0
    for column in range(0, whole, STEP):
        top, sums, mixed = _forward_step(
            q, key + at, value + at, gates, positions, drawn_from, rows, column, start, length, top, sums, mixed,
            stride_row, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=True,
        )  # fmt: skip
    for column in range(whole, length, STEP):
        top, sums, mixed = _forward_step(
            q, key + at, value + at, gates, positions, drawn_from, rows, column, start, length, top, sums, mixed,
            stride_row, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=False,
        )  # fmt: skip
    _write(out + (start * heads + head) * DIM, heads * DIM, rows, length, mixed / sums[:, None], DIM, WIDTH)
    tl.store(log_sums + head.to(tl.int64) * total + start + rows, top + tl.log2(sums), mask=rows < length)


@triton.jit
def _query_step(
    q, do, dot, log_sum, key, value, gates, positions, drawn_from, rows, column, start, length,
    of_scores, dq, for_gate, nearest, farthest,
    stride_row, heads, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    STEP: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Add one step of keys and values, from `column` on, to the gradients of a block of queries."""
    columns = column + tl.arange(0, STEP)
    k = _read(key, stride_row, columns, length, DIM, WIDTH, WHOLE)
    v = _read(value, stride_row, columns, length, DIM, WIDTH, WHOLE)
    logits = _product(q, k, PRECISION) * (scale * LOG2_E)
    if BIAS != "none":
        tile = _tile(positions, rows[:, None], columns[None, :], length, heads, left, num_positions, BIAS)
        logits += gates * tile
    weights = tl.exp2(logits - log_sum[:, None])
    if not WHOLE:
        weights = tl.where((columns < length)[None, :], weights, 0.0)
    of_weights = _dropped(
        _product(do, v, PRECISION),
        drawn_from, (start + rows)[:, None], columns[None, :], threshold, kept_scale, DROPOUT,
    )  # fmt: skip
    of_logits = weights * (of_weights - dot[:, None])
    dq += tl.dot(of_logits.to(k.dtype), k, input_precision=PRECISION)
    if BIAS == "gated":
        for_gate += tl.sum(of_logits * tile, 1)
    elif BIAS == "keys":
        # A distance that is not clamped belongs to one key of each query: its gradient is that of the one logit.
        place, end = columns[None, :] - rows[:, None] + left, num_positions - 1
        nearest += tl.sum(tl.where(place <= 0, of_logits, 0.0), 1)
        farthest += tl.sum(tl.where(place >= end, of_logits, 0.0), 1)
        own = (rows < length)[:, None] & (place > 0) & (place < end)
        if not WHOLE:
            own = own & (columns < length)[None, :]
        tl.store(of_scores + place, of_logits, mask=own)
    return dq, for_gate, nearest, farthest


@triton.jit(do_not_specialize=COUNTS)
def query_gradient(
    query, key, value, gate, positions, blocks, seed, out, log_sums, out_gradient,
    of_query, of_gate, of_scores, dots,
    stride_row, stride_head, total, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr, PEELED: tl.constexpr,
):  # fmt: skip
    """Compute gradients to queries and to their gates or scores; and `dots`, output times its gradient by row."""
    start, length, first = _block(blocks, tl.program_id(0), ENTRY, BLOCK)
    if first >= length:
        return
    head, heads = tl.program_id(1), tl.num_programs(1)
    at, packed = start * stride_row + head * stride_head, (start * heads + head) * DIM
    rows = first + tl.arange(0, BLOCK)
    inside = rows < length
    by_row = head.to(tl.int64) * total + start + rows
    gates = _gates(gate, start, rows, length, head, heads, BIAS)[:, None] * LOG2_E
    positions = _positions_of(positions, start, head, heads, num_positions, BIAS)
    if BIAS == "keys":
        of_scores += ((start + rows) * heads + head)[:, None] * num_positions
    drawn_from = _drawn_from(seed, head, DROPOUT)
    q = _read(query + at, stride_row, rows, length, DIM, WIDTH)
    do = _read(out_gradient + packed, heads * DIM, rows, length, DIM, WIDTH)
    o = _read(out + packed, heads * DIM, rows, length, DIM, WIDTH)
    dot = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
    tl.store(dots + by_row, dot, mask=inside)
    log_sum = tl.load(log_sums + by_row, mask=inside, other=float("inf"))
    dq = tl.zeros([BLOCK, WIDTH], tl.float32)
    for_gate = tl.zeros([BLOCK], tl.float32)
    nearest, farthest = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    whole = length // STEP * STEP if PEELED else 0
    for column in range(0, whole, STEP):
        dq, for_gate, nearest, farthest = _query_step(
            q, do, dot, log_sum, key + at, value + at, gates, positions, drawn_from, rows, column, start, length,
            of_scores, dq, for_gate, nearest, farthest,
            stride_row, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=True,
        )  # fmt: skip
    for column in range(whole, length, STEP):
        dq, for_gate, nearest, farthest = _query_step(
            q, do, dot, log_sum, key + at, value + at, gates, positions, drawn_from, rows, column, start, length,
            of_scores, dq, for_gate, nearest, farthest,
            stride_row, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=False,
        )  # fmt: skip
    _write(of_query + packed, heads * DIM, rows, length, dq * scale, DIM, WIDTH)
    if BIAS == "gated":
        tl.store(of_gate + (start + rows) * heads + head, for_gate, mask=inside)
    elif BIAS == "keys":
        tl.store(of_scores, nearest[:, None], mask=inside[:, None])
        tl.store(of_scores + num_positions - 1, farthest[:, None], mask=inside[:, None])


@triton.jit
def _key_step(
    k, v, query, out_gradient, gate, log_sums, dots, positions, drawn_from, columns, row, start, length, dk, dv,
    stride_row, head, heads, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    STEP: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Add one step of queries, from `row` on, to the gradients of a block of keys and values."""
    rows = row + tl.arange(0, STEP)
    q = _read(query, stride_row, rows, length, DIM, WIDTH, WHOLE)
    do = _read(out_gradient, heads * DIM, rows, length, DIM, WIDTH, WHOLE)
    logits = _product(k, q, PRECISION) * (scale * LOG2_E)
    if BIAS != "none":
        gates = _gates(gate, start, rows, length, head, heads, BIAS, WHOLE)[None, :] * LOG2_E
        tile = _tile(positions, rows[None, :], columns[:, None], length, heads, left, num_positions, BIAS, WHOLE)
        logits += gates * tile
    weights = tl.exp2(logits - _read_line(log_sums, rows, length, float("inf"), WHOLE)[None, :])
    dropped = _dropped(weights, drawn_from, (start + rows)[None, :], columns[:, None], threshold, kept_scale, DROPOUT)
    of_weights = _dropped(
        _product(v, do, PRECISION),
        drawn_from, (start + rows)[None, :], columns[:, None], threshold, kept_scale, DROPOUT,
    )  # fmt: skip
    dv += tl.dot(dropped.to(do.dtype), do, input_precision=PRECISION)
    of_logits = weights * (of_weights - _read_line(dots, rows, length, 0.0, WHOLE)[None, :])
    dk += tl.dot(of_logits.to(q.dtype), q, input_precision=PRECISION)
    return dk, dv


@triton.jit(do_not_specialize=COUNTS)
def key_gradient(
    query, key, value, gate, positions, blocks, seed, log_sums, out_gradient, dots,
    of_key, of_value,
    stride_row, stride_head, total, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr, PEELED: tl.constexpr,
):  # fmt: skip
    """Compute gradients to a block of keys and values; tiles are (keys, queries).

    `dots` as computed by `query_gradient`.
    """
    start, length, first = _block(blocks, tl.program_id(0), ENTRY, BLOCK)
    if first >= length:
        return
    head, heads = tl.program_id(1), tl.num_programs(1)
    at, packed = start * stride_row + head * stride_head, (start * heads + head) * DIM
    columns = first + tl.arange(0, BLOCK)
    log_sums += head.to(tl.int64) * total + start
    dots += head.to(tl.int64) * total + start
    positions = _positions_of(positions, start, head, heads, num_positions, BIAS)
    drawn_from = _drawn_from(seed, head, DROPOUT)
    k = _read(key + at, stride_row, columns, length, DIM, WIDTH)
    v = _read(value + at, stride_row, columns, length, DIM, WIDTH)
    dk, dv = tl.zeros([BLOCK, WIDTH], tl.float32), tl.zeros([BLOCK, WIDTH], tl.float32)
    whole = length // STEP * STEP if PEELED else 0
    for row in range(0, whole, STEP):
        dk, dv = _key_step(
            k, v, query + at, out_gradient + packed, gate, log_sums, dots, positions, drawn_from,
            columns, row, start, length, dk, dv,
            stride_row, head, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=True,
        )  # fmt: skip
    for row in range(whole, length, STEP):
        dk, dv = _key_step(
            k, v, query + at, out_gradient + packed, gate, log_sums, dots, positions, drawn_from,
            columns, row, start, length, dk, dv,
            stride_row, head, heads, left, num_positions, scale, threshold, kept_scale,
            DIM, WIDTH, BIAS, DROPOUT, PRECISION, STEP, WHOLE=False,
        )  # fmt: skip
    _write(of_key + packed, heads * DIM, columns, length, dk * scale, DIM, WIDTH)
    _write(of_value + packed, heads * DIM, columns, length, dv, DIM, WIDTH)


@triton.jit(do_not_specialize=[*COUNTS, "num_blocks"])
def table_gradient(
    query, key, value, gate, positions, blocks, seed, log_sums, out_gradient, dots,
    sums, num_blocks,
    stride_row, stride_head, total, left, num_positions, scale, threshold, kept_scale,
    DIM: tl.constexpr, WIDTH: tl.constexpr, BIAS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr, PEELED: tl.constexpr,
):  # fmt: skip
    """Compute the gradient to the table from one diagonal of square tiles, over a share of all queries.

    `STEP` and `PEELED` are not used. Along a diagonal of tiles, each element has the same distance of key and query in
    every tile: tiles are added, and only their sum is summed along its diagonals. No two programs write to the same
    place, so that the result is deterministic.
    """
    diagonal, head, share = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    diagonals, heads, shares = tl.num_programs(0), tl.num_programs(1), tl.num_programs(2)
    ahead = (diagonal - diagonals // 2) * BLOCK
    places = tl.arange(0, BLOCK)
    positions += head * num_positions
    drawn_from = _drawn_from(seed, head, DROPOUT)
    by_place = tl.zeros([BLOCK, BLOCK], tl.float32)
    for number in range(share, num_blocks, shares):
        start, length, first = _block(blocks, number, ENTRY, BLOCK)
        if (first < length) & (first + ahead >= 0) & (first + ahead < length):
            rows, columns = first + places, first + ahead + places
            inside = rows < length
            at, packed = start * stride_row + head * stride_head, (start * heads + head) * DIM
            by_row = head.to(tl.int64) * total + start + rows
            q = _read(query + at, stride_row, rows, length, DIM, WIDTH)
            k = _read(key + at, stride_row, columns, length, DIM, WIDTH)
            v = _read(value + at, stride_row, columns, length, DIM, WIDTH)
            do = _read(out_gradient + packed, heads * DIM, rows, length, DIM, WIDTH)
            gates = _gates(gate, start, rows, length, head, heads, BIAS)[:, None]
            tile = _tile(positions, rows[:, None], columns[None, :], length, heads, left, num_positions, BIAS)
            logits = _product(q, k, PRECISION) * (scale * LOG2_E) + gates * LOG2_E * tile
            log_sum = tl.load(log_sums + by_row, mask=inside, other=float("inf"))
            weights = tl.where((columns < length)[None, :], tl.exp2(logits - log_sum[:, None]), 0.0)
            of_weights = _dropped(
                _product(do, v, PRECISION),
                drawn_from, (start + rows)[:, None], columns[None, :], threshold, kept_scale, DROPOUT,
            )  # fmt: skip
            dot = tl.load(dots + by_row, mask=inside, other=0.0)
            by_place += gates * weights * (of_weights - dot[:, None])
    # Distance number d of 2 * BLOCK, the first being 1 - BLOCK, is in row r at column r + d + 1 - BLOCK.
    distances = tl.arange(0, 2 * BLOCK)
    column = places[:, None] + distances[None, :] - (BLOCK - 1)
    within = (column >= 0) & (column < BLOCK)
    skewed = tl.gather(by_place, tl.where(within, column, 0), 1)
    by_distance = tl.sum(tl.where(within, skewed, 0.0), 0)
    tl.store(sums + ((share * heads + head) * diagonals + diagonal) * (2 * BLOCK) + distances, by_distance)


@triton.jit(do_not_specialize=["before"])
def convolution(
    frames, taps, bias, blocks, out, before,
    TAPS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute a block of rows of one group, tap by tap, each a matrix product; zeros outside the clip.

    `taps`: (groups, taps, in, out).
    """
    start, length, first = _block(blocks, tl.program_id(0), ENTRY, BLOCK)
    if first >= length:
        return
    group, groups = tl.program_id(1), tl.num_programs(1)
    rows = first + tl.arange(0, BLOCK)
    at = (start * groups + group) * DIM
    channels = tl.arange(0, WIDTH)
    made = tl.zeros([BLOCK, WIDTH], tl.float32)
    if HAS_BIAS:
        made += tl.load(bias + group * DIM + channels, mask=channels < DIM, other=0.0).to(tl.float32)[None, :]
    for tap in range(TAPS):
        seen = _read(frames + at, groups * DIM, rows + tap - before, length, DIM, WIDTH)
        weight = _read(taps + (group * TAPS + tap) * DIM * DIM, DIM, channels, DIM, DIM, WIDTH)
        made += tl.dot(seen, weight, input_precision=PRECISION)
    _write(out + at, groups * DIM, rows, length, made, DIM, WIDTH)


@triton.jit(do_not_specialize=["before", "num_blocks"])
def taps_gradient(
    frames, out_gradient, blocks, of_taps, before, num_blocks,
    TAPS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr,
    ENTRY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute the gradient to one tap of one group over all rows: float32 `of_taps` (groups, taps, in, out)."""
    tap, group, groups = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    sums = tl.zeros([WIDTH, WIDTH], tl.float32)
    for number in range(num_blocks):
        start, length, first = _block(blocks, number, ENTRY, BLOCK)
        rows = first + tl.arange(0, BLOCK)
        at = (start * groups + group) * DIM
        seen = _read(frames + at, groups * DIM, rows + tap - before, length, DIM, WIDTH)
        slope = _read(out_gradient + at, groups * DIM, rows, length, DIM, WIDTH)
        sums += tl.dot(tl.trans(seen), slope, input_precision=PRECISION)
    _write(of_taps + (group * TAPS + tap) * DIM * DIM, DIM, tl.arange(0, WIDTH), DIM, sums, DIM, WIDTH)


@triton.jit(do_not_specialize=["num_rows"])
def norm(
    x, added, weight, bias, wide, narrow, num_rows, eps,
    DIM: tl.constexpr, WIDTH: tl.constexpr, NORM: tl.constexpr, GELU: tl.constexpr, KEPT: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """Compute `narrow`, the norm and activation of the sum of rows, and `wide`, their sum or their norm in float32."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channels = tl.arange(0, WIDTH)
    known = channels < DIM
    inside = (rows < num_rows)[:, None] & known[None, :]
    at = rows[:, None] * DIM + channels[None, :]
    values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if added is not None:
        values += tl.load(added + at, mask=inside, other=0.0).to(tl.float32)
    if KEPT == "sum":
        tl.store(wide + at, values, mask=inside)
    if NORM:
        mean = tl.sum(values, 1) / DIM
        values = tl.where(known[None, :], values - mean[:, None], 0.0)
        values *= tl.rsqrt(tl.sum(values * values, 1) / DIM + eps)[:, None]
        values *= tl.load(weight + channels, mask=known, other=0.0)[None, :]
        values += tl.load(bias + channels, mask=known, other=0.0)[None, :]
    if GELU:
        values = 0.5 * values * (1.0 + tl.erf(values * 0.7071067811865476))
    if KEPT == "norm":
        tl.store(wide + at, values, mask=inside)
    tl.store(narrow + at, values.to(narrow.dtype.element_ty), mask=inside)
