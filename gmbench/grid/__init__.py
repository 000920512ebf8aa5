"""Grid mechanics: moves, walls, bit-packed floods, ASCII levels, sprites."""
