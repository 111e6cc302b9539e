// Verifies a copy of an audit log (`aios audit --export`) with the code of Go's checksum database alone: the signature of its checkpoint, the root over every
// entry, every tile, each inclusion proof that a server gave (`proofs.json`), and that the log goes on from a checkpoint that was kept.
//
//	verifier LOG [KEPT]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

type folder string

func (dir folder) read(path string) []byte {
	data, err := os.ReadFile(filepath.Join(string(dir), filepath.FromSlash(path)))
	check(err)
	return data
}

func (dir folder) Height() int { return tileHeight }

func (dir folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		all = append(all, dir.read(pathOf(tile)))
	}
	return all, nil
}

func (dir folder) SaveTiles([]tlog.Tile, [][]byte) {}

// C2SP tlog-tiles leaves the height out of the path, and calls the data of a tile its entries.
func pathOf(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// The entries of a tree, each behind its length in its bundle.
func (dir folder) entries(size int64) [][]byte {
	var entries [][]byte
	for first := int64(0); first < size; first += tileWidth {
		width := min(tileWidth, size-first)
		data := dir.read(pathOf(tlog.Tile{H: tileHeight, L: -1, N: first / tileWidth, W: int(width)}))
		for len(data) > 0 {
			length := binary.BigEndian.Uint16(data)
			entries = append(entries, data[2:2+length])
			data = data[2+length:]
		}
	}
	return entries
}

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
	verifier, err := note.NewVerifier(strings.TrimSpace(string(dir.read("log.vkey"))))
	check(err)
	tree := open(dir.read("checkpoint"), verifier)

	entries := dir.entries(tree.N)
	if int64(len(entries)) != tree.N {
		fail("%d entries, the checkpoint says %d", len(entries), tree.N)
	}
	var hashes stored
	for index, entry := range entries {
		added, err := tlog.StoredHashes(int64(index), entry, hashes)
		check(err)
		hashes = append(hashes, added...)
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	check(err)
	if root != tree.Hash {
		fail("the root over the entries is %v, the signed one %v", root, tree.Hash)
	}

	tiles := tlog.TileHashReader(tree, dir)
	checkTiles(tiles, hashes)
	fmt.Printf("%d entries", tree.N)
	fmt.Printf(", %d proofs", checkProofs(dir, tree, entries))
	if len(os.Args) > 2 {
		data, err := os.ReadFile(os.Args[2])
		check(err)
		kept := open(data, verifier)
		proof, err := tlog.ProveTree(tree.N, kept.N, tiles)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, kept.N, kept.Hash))
		fmt.Printf(", goes on from %d", kept.N)
	}
	fmt.Println()
}

func open(data []byte, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open(data, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// Reads each hash of each tile, which holds every tile to the signed root.
func checkTiles(tiles tlog.HashReader, hashes stored) {
	all := make([]int64, len(hashes))
	for index := range hashes {
		all[index] = int64(index)
	}
	read, err := tiles.ReadHashes(all)
	check(err)
	for index, hash := range read {
		if hash != hashes[index] {
			fail("stored hash %d of the tiles is not that of the entries", index)
		}
	}
}

func checkProofs(dir folder, tree tlog.Tree, entries [][]byte) int {
	data, err := os.ReadFile(filepath.Join(string(dir), "proofs.json"))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	check(err)
	var proofs map[string][]string
	check(json.Unmarshal(data, &proofs))
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
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entries[index])))
	}
	return len(proofs)
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
