-- Which department employs the most alumni, and how are they rated on average?
--
-- alumni: how many work there; mean_rating: their average performance rating, in full precision.
--
-- Reads: alumni. Order: most alumni first, then by department.
SELECT
    department,
    count(*) AS alumni,
    avg(CAST(performance_rating AS double)) AS mean_rating
FROM alumni
GROUP BY department
ORDER BY alumni DESC, department
