"""What watches that learning stays healthy: one condition per file, behind `Guard`."""
