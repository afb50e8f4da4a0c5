package repository

import (
	"encoding/binary"
	"fmt"
)

// A stream is a list of references to chunks. Lists longer than one are stored
// as nodes, themselves chunks, and the list of those again until one reference
// is left: the root. A node ends where the id of its last entry says so, so
// that equal stretches of two lists make equal nodes.
const (
	// nodeCut: a node ends behind an entry whose id ends in nodeCut zero
	// bits, every 512 entries on average, …
	nodeCut = 9
	// … but not before minNode entries, so that each level is at most half
	// as long as the one below, and always behind maxNode.
	minNode = 2
	maxNode = 2048
)

func endsNode(id ChunkID, entries int) bool {
	low := binary.BigEndian.Uint16(id[30:])
	return entries >= maxNode || entries >= minNode && low&(1<<nodeCut-1) == 0
}

// appendRef writes one entry of a node: kind, id, bytes and rows below it.
func appendRef(b []byte, r Ref) []byte {
	b = append(b, byte(r.Kind))
	b = append(b, r.ID[:]...)
	b = binary.AppendUvarint(b, uint64(r.Raw))
	return binary.AppendUvarint(b, uint64(r.Rows))
}

// parseNode reads the entries of a node. Anything that appendRef would not
// have written is an error.
func parseNode(b []byte) ([]Ref, error) {
	var refs []Ref
	for len(b) > 0 {
		if len(b) < 1+32 {
			return nil, fmt.Errorf("%w: node ends inside of an entry", ErrCorrupt)
		}
		r := Ref{Kind: Kind(b[0])}
		if r.Kind < KindRows || r.Kind > KindRowPart {
			return nil, fmt.Errorf("%w: node entry of unknown kind %d", ErrCorrupt, b[0])
		}
		copy(r.ID[:], b[1:])
		b = b[33:]
		for _, field := range []*int64{&r.Raw, &r.Rows} {
			v, n := binary.Uvarint(b)
			if n <= 0 || v > 1<<62 {
				return nil, fmt.Errorf("%w: node entry with a bad number", ErrCorrupt)
			}
			*field = int64(v)
			b = b[n:]
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// treeBuilder stores one level of a stream's list as it grows and keeps the
// references to the nodes, of which there is one for hundreds of entries.
type treeBuilder struct {
	put   func(kind Kind, content []byte) (ChunkID, error)
	nodes []Ref
	open  []Ref // entries of the node that is not full yet
}

func (t *treeBuilder) add(r Ref) error {
	t.open = append(t.open, r)
	if endsNode(r.ID, len(t.open)) {
		return t.closeNode()
	}
	return nil
}

func (t *treeBuilder) closeNode() error {
	if len(t.open) == 0 {
		return nil
	}
	if len(t.open) == 1 { // a node of one entry says nothing that the entry does not
		t.nodes = append(t.nodes, t.open[0])
		t.open = t.open[:0]
		return nil
	}
	node := Ref{Kind: KindNode}
	var content []byte
	for _, r := range t.open {
		content = appendRef(content, r)
		node.Raw += r.Raw
		node.Rows += r.Rows
	}
	id, err := t.put(KindNode, content)
	if err != nil {
		return err
	}
	node.ID = id
	t.nodes = append(t.nodes, node)
	t.open = t.open[:0]
	return nil
}

// finish returns the references of the level above.
func (t *treeBuilder) finish() ([]Ref, error) {
	if err := t.closeNode(); err != nil {
		return nil, err
	}
	return t.nodes, nil
}

// root stores as many levels as it takes until one reference is left. No
// references have no root: the zero Ref.
func (t *treeBuilder) root(refs []Ref) (Ref, error) {
	for len(refs) > 1 {
		level := treeBuilder{put: t.put}
		for _, r := range refs {
			if err := level.add(r); err != nil {
				return Ref{}, err
			}
		}
		var err error
		if refs, err = level.finish(); err != nil {
			return Ref{}, err
		}
	}
	if len(refs) == 0 {
		return Ref{}, nil
	}
	return refs[0], nil
}
