// Verifies an audit log of AIOS with the code of Go's checksum database alone: the signature of the checkpoint, the root over every entry, each tile, each
// inclusion proof that the server gave, and the consistency of the tree with all earlier ones.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type folder string

func (dir folder) read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(append([]string{string(dir)}, parts...)...))
	check(err)
	return data
}

func (dir folder) Height() int { return tileHeight }

func (dir folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// C2SP tlog-tiles leaves the height out of the path.
		all = append(all, dir.read("tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
	}
	return all, nil
}

func (dir folder) SaveTiles([]tlog.Tile, [][]byte) {}

type stored []tlog.Hash

func (hashes stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = hashes[index]
	}
	return out, nil
}

func main() {
	dir := folder(os.Args[1])
	verifier, err := note.NewVerifier(strings.TrimSpace(string(dir.read("key"))))
	check(err)
	signed, err := note.Open(dir.read("checkpoint"), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)

	var hashes stored
	var leaves []tlog.Hash
	for data := dir.read("entries"); len(data) > 0; {
		length := binary.BigEndian.Uint16(data)
		entry := data[2 : 2+length]
		data = data[2+length:]
		added, err := tlog.StoredHashes(int64(len(leaves)), entry, hashes)
		check(err)
		hashes = append(hashes, added...)
		leaves = append(leaves, tlog.RecordHash(entry))
	}
	if int64(len(leaves)) != size {
		fail("%d entries, the checkpoint says %d", len(leaves), size)
	}
	computed, err := tlog.TreeHash(size, hashes)
	check(err)
	if computed != root {
		fail("the root over the entries is %v, the signed one %v", computed, root)
	}

	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, dir)
	var proofs map[string][]string
	check(json.Unmarshal(dir.read("proofs.json"), &proofs))
	for text, given := range proofs {
		index, err := strconv.ParseInt(text, 10, 64)
		check(err)
		var proof tlog.RecordProof
		for _, encoded := range given {
			raw, err := base64.StdEncoding.DecodeString(encoded)
			check(err)
			var hash tlog.Hash
			copy(hash[:], raw)
			proof = append(proof, hash)
		}
		check(tlog.CheckRecord(proof, size, root, index, leaves[index]))
		own, err := tlog.ProveRecord(size, index, reader)
		check(err)
		if !bytes.Equal([]byte(fmt.Sprint(own)), []byte(fmt.Sprint(proof))) {
			fail("the proof of %d is not the one that the tiles give", index)
		}
	}
	for earlier := int64(1); earlier < size; earlier += 97 {
		old, err := tlog.TreeHash(earlier, hashes)
		check(err)
		proof, err := tlog.ProveTree(size, earlier, reader)
		check(err)
		check(tlog.CheckTree(proof, size, root, earlier, old))
	}
	fmt.Printf("%d entries, %d proofs\n", size, len(proofs))
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
