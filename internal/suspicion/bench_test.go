package suspicion

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkSampler is what a sample costs per row of a table.
func BenchmarkSampler(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	hashes := make([]uint64, 1<<20)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	for b.Loop() {
		var s Sampler
		for _, h := range hashes {
			s.Add(h)
		}
		if len(s.Sample()) != SampleRows {
			b.Fatal("no whole sample")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(hashes)), "ns/row")
}
