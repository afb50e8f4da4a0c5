package postgres

import (
	"math"
)

// defaultPartBytes is the wanted size on disk of a part of a table, TOAST
// included.
const defaultPartBytes = 64 << 20

// tidRangeVersion is the first server version that reads a range of pages
// without reading the whole table.
const tidRangeVersion = 140000

// cut divides a table into parts of about want bytes. The number of pages of a
// part is a power of two, so that it stays the same from one capture to the
// next while the table grows, and unchanged pages fall into unchanged parts.
// heap and total are the sizes in bytes without and with TOAST, block the size
// of a page.
func cut(heap, total, block, want int64) []Part {
	pages := (heap + block - 1) / block
	if pages == 0 {
		return []Part{{Whole: true, Bytes: total}}
	}
	step := partPages(heap, total, block, want)
	if pages <= step {
		return []Part{{Whole: true, Bytes: total}}
	}
	var parts []Part
	share := total / pages
	for from := int64(0); from < pages; from += step {
		parts = append(parts, Part{From: from, To: from + step, Bytes: share * step})
	}
	last := &parts[len(parts)-1]
	last.To = 0 // rows may have come behind the size that was read
	last.Bytes = share * (pages - last.From)
	return parts
}

// partPages is the power of two nearest to the number of pages that hold want
// bytes together with what belongs to them in TOAST, 1 at least.
func partPages(heap, total, block, want int64) int64 {
	if total < heap {
		total = heap
	}
	exact := float64(want) / float64(block) * float64(heap) / float64(total)
	if exact < 1 {
		return 1
	}
	return 1 << int64(math.Round(math.Log2(exact)))
}
