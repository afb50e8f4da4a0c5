package controls

import (
	"context"
	"fmt"

	"github.com/saypro/backupd/internal/verify"
)

// objectFaults are wrong bytes at one site.
func objectFaults() []fault {
	return []fault{
		{
			id: "object-missing", expected: "L0", naming: "missing",
			planted: "a pack is deleted at one site; the other site has it still",
			try: func(ctx context.Context, c *replica) (finding, error) {
				name, err := c.pack(ctx)
				if err == nil {
					err = c.remove(ctx, name)
				}
				if err != nil {
					return finding{}, err
				}
				return c.oneSiteOnly(ctx)
			},
		},
		{
			id: "commit-missing", expected: "L0", naming: "missing",
			planted: "the commit object of the newest recovery point is deleted at one site",
			try: func(ctx context.Context, c *replica) (finding, error) {
				name, err := c.commitOf(c.newest)
				if err == nil {
					err = c.remove(ctx, name)
				}
				if err != nil {
					return finding{}, err
				}
				return c.oneSiteOnly(ctx)
			},
		},
		{
			id: "object-truncated", expected: "L0", naming: "bytes instead of",
			planted: "the last kibibyte of a pack is cut off",
			try:     spoiltPack(func(b []byte) []byte { return b[:len(b)-1024] }),
		},
		{
			id: "bit-flip", expected: "L1", naming: "digest",
			planted: "one bit of a stored pack is inverted",
			try: spoiltPack(func(b []byte) []byte {
				b[len(b)/2] ^= 1
				return b
			}),
		},
		{
			id: "object-replaced", expected: "L1", naming: "digest",
			planted: "a pack is replaced by an older pack, cut or filled to the very same size",
			try: func(ctx context.Context, c *replica) (finding, error) {
				older, err := c.olderPack(ctx)
				if err != nil {
					return finding{}, err
				}
				return spoiltPack(func(b []byte) []byte { return sized(older, len(b)) })(ctx, c)
			},
		},
	}
}

// spoiltPack gives the biggest pack another content.
func spoiltPack(change func([]byte) []byte) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		name, err := c.pack(ctx)
		if err != nil {
			return finding{}, err
		}
		if err := c.replace(ctx, name, change); err != nil {
			return finding{}, err
		}
		return c.oneSiteOnly(ctx)
	}
}

// oneSiteOnly proves the newest recovery point from the site under test, and from
// the other site, which must not turn red with it.
func (c *replica) oneSiteOnly(ctx context.Context) (finding, error) {
	r, err := c.prove(ctx, verify.Request{Snapshot: c.newest})
	if err != nil {
		return finding{}, err
	}
	whole, err := c.prove(ctx, verify.Request{Snapshot: c.newest, From: otherSite, Level: "L1"})
	if err != nil {
		return finding{}, err
	}
	if !whole.Passed {
		return finding{detail: "the other copy, which nobody touched, is red as well: " + red(whole).detail}, nil
	}
	return red(r), nil
}

// olderPack returns the content of a pack of the older recovery point that is not
// the one to be spoilt.
func (c *replica) olderPack(ctx context.Context) ([]byte, error) {
	not, err := c.pack(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range c.objects {
		if o.Name != not && o.Name[:2] == "p/" {
			return read(ctx, c.tested.Store, o.Name)
		}
	}
	return nil, fmt.Errorf("there is no pack but %s", not)
}

// sized returns content cut or filled to a length.
func sized(content []byte, length int) []byte {
	out := make([]byte, length)
	for n := 0; n < length; {
		n += copy(out[n:], content)
	}
	return out
}
