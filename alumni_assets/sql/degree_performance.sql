-- Which college degree's graduates perform best?
--
-- alumni: how many hold the degree; mean_rating: their average performance rating, in full precision;
-- sd_rating: the sample standard deviation of their ratings, null for a single alumnus. It is made of whole numbers
-- up to the division, so that it is the same to the last digit in whatever order the rows are read.
--
-- Reads: alumni. Order: best mean rating first, then by degree.
SELECT
    college_degree,
    count(*) AS alumni,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    CASE
        WHEN count(*) > 1 THEN sqrt(
            CAST(
                count(*) * sum(CAST(performance_rating AS bigint) * CAST(performance_rating AS bigint))
                - sum(CAST(performance_rating AS bigint)) * sum(CAST(performance_rating AS bigint)) AS double
            ) / CAST(count(*) * (count(*) - 1) AS double)
        )
    END AS sd_rating
FROM alumni
GROUP BY college_degree
ORDER BY mean_rating DESC, college_degree
